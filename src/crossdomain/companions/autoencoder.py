"""An autoencoder that all domains share: what turns pictures into vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import domains_in
from crossdomain.losses import standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.networks import ConvDecoder, ConvEncoder


class SharedAutoencoder(Method):
    """A variational autoencoder (Kingma, Welling; arXiv 1312.6114) for the images of all domains together.

    One encoder and one decoder, which are not told domains apart, minimise for all domains

        E |x - decoder(z)|^2 / 2 + beta KL(N(mu(x), diag v(x)) || N(0, I)),  z = mu(x) + sqrt(v(x)) e,  e ~ N(0, I)

    with the squares summed over an image's pixels, on [-1, 1]. It translates nothing: its means mu are the vectors
    that methods for vectors align (``crossdomain embed``).

    Args:
        channels_a: channels of domain a.
        channels_b: the same number; it need not have as many domains as the data.
        latent: length of z.
        encoder: makes the encoder from the number of channels and ``latent``; it returns mu and log v.
        decoder: makes the decoder from ``latent`` and the number of channels, for images of the data's size.
        kl_weight: beta.
        options: those of :class:`Game`.
    """

    any_domain = True

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
        self.require_equal_channels("one encoder reads all")
        self.encoder, self.decoder = encoder(channels_a, latent), decoder(latent, channels_a)
        self.players = {"generator": ("encoder", "decoder")}
        self.kl_weight = kl_weight

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Posterior and reconstruction of the images of all domains."""
        images = torch.cat([batch[domain] for domain in domains_in(batch)])
        mean, log_variance = self.encoder(images)
        again = self._decoded(mean + torch.randn_like(mean) * (0.5 * log_variance).exp(), images)
        return {"images": images, "again": again, "mean": mean, "log_variance": log_variance}

    def _decoded(self, latents: Tensor, images: Tensor) -> Tensor:
        """What the decoder makes of the latents of ``images``; of another shape, it is refused."""
        again: Tensor = self.decoder(latents)
        if again.shape != images.shape:
            raise ValueError(
                f"The decoder makes images of {tuple(again.shape[1:])}, the data's {tuple(images.shape[1:])}.\n"
                "Change data.image_size, or the layers of model.decoder."
            )
        return again

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
        with self.misfits_named(images):
            return self.encoder(images)[0]

    @torch.no_grad()
    def decode(self, latents: Tensor, domain: str) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] from latents (N, latent); the domain is in the latent."""
        with self.misfits_named(latents):
            return self.decoder(latents)

    @torch.no_grad()
    def reconstruct(self, images: Tensor, domain: str) -> Tensor:
        """Images from their own means, of the same shape.

        Raises:
            ValueError: the decoder makes images of another shape.
        """
        latents = self.encode(images, domain)
        with self.misfits_named(latents):
            return self._decoded(latents, images)
