"""An autoencoder that both domains share: what turns pictures into vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.losses import standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import ConvDecoder, ConvEncoder


class SharedAutoencoder(Method):
    """A variational autoencoder (Kingma, Welling; arXiv 1312.6114) for the images of both domains together.

    One encoder and one decoder, which are not told domains apart, minimise for both domains

        E |x - decoder(z)|^2 / 2 + beta KL(N(mu(x), diag v(x)) || N(0, I)),  z = mu(x) + sqrt(v(x)) e,  e ~ N(0, I)

    with the squares summed over an image's pixels, on [-1, 1]. It translates nothing: its means mu are the vectors
    that methods for vectors align (``crossdomain embed``).

    Args:
        channels_a: channels of domain a.
        channels_b: the same number.
        latent: length of z.
        encoder: makes the encoder from the number of channels and ``latent``; it returns mu and log v.
        decoder: makes the decoder from ``latent`` and the number of channels, for images of the data's size.
        kl_weight: beta.
        options: those of :class:`Game`.
    """

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        latent: int = 16,
        encoder: NetworkFactory = ConvEncoder,
        decoder: NetworkFactory = ConvDecoder,
        kl_weight: float = 1.0,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        at_least(1, self, latent=latent)
        self.save_hyperparameters()
        self.require_equal_channels("one encoder reads both")
        self.encoder, self.decoder = encoder(channels_a, latent), decoder(latent, channels_a)
        self.players = {"generator": ("encoder", "decoder")}
        self.kl_weight = kl_weight

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Posterior and reconstruction of both domains' images."""
        images = torch.cat([batch[domain] for domain in self.channels])
        mean, log_variance = self.encoder(images)
        again = self.decoder(mean + torch.randn_like(mean) * (0.5 * log_variance).exp())
        if again.shape != images.shape:
            raise ValueError(
                f"The decoder makes images of {tuple(again.shape[1:])}, the data's {tuple(images.shape[1:])}.\n"
                "Change data.image_size, or the layers of model.decoder."
            )
        return {"images": images, "again": again, "mean": mean, "log_variance": log_variance}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Keep the image, in few nats."""
        error = 0.5 * (out["again"] - out["images"]).square().flatten(1).sum(1)
        return {
            "reconstruction": error.mean(),
            "kl": self.kl_weight * standard_normal_kl(out["mean"], out["log_variance"]).mean(),
        }

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """Means mu (N, latent) of images (N, C, H, W) in [-1, 1] of ``domain``."""
        self.check_images(images, domain)
        return self.encoder(images)[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from latents (N, latent); the domain is in the latent."""
        return self.decoder(latents)

    @torch.no_grad()
    def reconstruct(self, images: Tensor, domain: str) -> Tensor:
        """Images from their own means, of the same shape."""
        return self.decode(self.encode(images, domain), domain)
