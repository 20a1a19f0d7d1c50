"""Cycle-VAE: two codes of an image, one that pairs of images share and one that an autoencoder draws."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, DataSpec, Direction
from crossdomain.losses import standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.triplets import in_size_of, require_size, triplet
from crossdomain.networks import CycleVAEDecoder, CycleVAEEncoder
from crossdomain.noise import Noise


class CycleVAE(Method):
    """Cycle-VAE (Jha, Anand, Singh, Veeravasarapu, ECCV 2018, arXiv 1804.10469), a row of PuppetGAN's table.

    An encoder reads a specified code c(x) and an unspecified one, s(x) ~ N(mu(x), sigma(x)^2), of which a decoder D
    makes images. Pairs x, y of images share what c is to hold. With z ~ N(0, I) and a third image x' that does not
    share it, encoder and decoder minimise

        lambda_r (|D(c(y), s(x)) - x|^2 + |D(c(x), s(y)) - y|^2)
        + lambda_kl (KL(N(mu(x), sigma(x)^2) || N(0, I)) + KL(N(mu(y), sigma(y)^2) || N(0, I))) / pixels
        + lambda_c |mu(D(c(y), z)) - mu(D(c(x'), z))|

    KL is summed over a code's entries and divided by the values of an image, all else are means. The first two terms
    are a VAE's whose images have exchanged their specified codes. The last, the reverse cycle, keeps what is specified
    out of s, and moves the encoder alone: images of different c and one z have to be read as one s.

    Images of domain a are never seen in training. Pairs come from triplets of domain b: b_1 (``reference_b``) and b_3
    (``b``) share the attribute of interest, b_2 (``rest_b``) and b_3 all the rest. ``specified`` says which of both c
    is, and s is the other one. Which the table's row has is not known.

    ``translate`` shows the attribute of an image with the rest of the guide, so ``b2a`` of a reference with a real
    image as guide is the manipulation, as with :class:`PuppetGAN`. s is its mean then.

    Weights are those of the first author's code, where lambda_r = 2 is of images in [0, 1]: of those in [-1, 1] it is a
    quarter. There the reverse cycle has an optimizer of its own.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b, the same number.
        specified: what pairs share: the ``attribute`` of interest, or the ``rest``.
        specified_latent: length of c.
        unspecified_latent: length of s.
        encoder: makes the encoder from channels and ``specified_latent + 2 * unspecified_latent``, the numbers of c, mu
            and log sigma^2.
        decoder: makes the decoder from the length of c and s together and channels.
        reconstruction_weight: lambda_r.
        kl_weight: lambda_kl.
        reverse_cycle_weight: lambda_c.
        options: those of :class:`Game`.

    Raises:
        ValueError: channels differ, a code is empty, or ``specified`` is another word.
    """

    directions = BOTH
    guide = "required"

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        specified: Literal["attribute", "rest"] = "attribute",
        specified_latent: int = 16,
        unspecified_latent: int = 16,
        encoder: NetworkFactory = CycleVAEEncoder,
        decoder: NetworkFactory = CycleVAEDecoder,
        reconstruction_weight: float = 0.5,
        kl_weight: float = 3.0,
        reverse_cycle_weight: float = 10.0,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(1, self, specified_latent=specified_latent, unspecified_latent=unspecified_latent)
        if specified not in ("attribute", "rest"):
            raise ValueError(f"specified is {specified!r}, but has to be 'attribute' or 'rest'.")
        self.require_equal_channels("one encoder reads both")
        self.encoder = encoder(channels_a, specified_latent + 2 * unspecified_latent)
        self.decoder = decoder(specified_latent + unspecified_latent, channels_a)
        self.players = {"generator": ("encoder", "decoder")}
        self.specified = specified
        self.lengths = (specified_latent, unspecified_latent, unspecified_latent)
        self.reconstruction_weight = reconstruction_weight
        self.kl_weight = kl_weight
        self.reverse_cycle_weight = reverse_cycle_weight

    def _check_data(self, spec: DataSpec) -> None:
        super()._check_data(spec)
        require_size(self.decoder, spec)

    def _codes(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """c (N, specified_latent), mu and log sigma^2 (N, unspecified_latent) of images."""
        specified, mean, log_variance = self.encoder(images).float().split(self.lengths, 1)
        return specified, mean, log_variance

    def _shown(self, specified: Tensor, unspecified: Tensor) -> Tensor:
        """The images D(c, s)."""
        return self.decoder(torch.cat([specified, unspecified], 1))

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Exchange the specified codes of two images that share it; show two codes with one z, and read s again."""
        reference, rest, both = triplet(batch, self)
        pair, other = ((reference, both), rest) if self.specified == "attribute" else ((rest, both), reference)
        images = torch.cat(pair)
        specified, mean, log_variance = self._codes(images)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        exchanged = specified.roll(len(both), 0)
        out = {"images": images, "mean": mean, "log_variance": log_variance, "joined": self._shown(exchanged, drawn)}
        if self.reverse_cycle_weight > 0:
            z = torch.randn_like(mean[: len(both)])
            with torch.no_grad():  # what is shown moves nobody: the encoder alone learns from it
                shown = [self._shown(code, z) for code in (specified[len(both) :], self._codes(other)[0])]
            out["read"], out["read_other"] = (self._codes(one)[1] for one in shown)
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Find both images again, keep s near N(0, I), and read one s where one z is shown."""
        # Sums over both images of a pair, of which means are halves.
        divergence = 2 * standard_normal_kl(out["mean"], out["log_variance"]).mean() / batch["b"][0].numel()
        terms = {
            "reconstruction": 2 * self.reconstruction_weight * F.mse_loss(out["joined"], out["images"]),
            "kl": self.kl_weight * divergence,
        }
        if self.reverse_cycle_weight > 0:
            terms["reverse_cycle"] = self.reverse_cycle_weight * F.l1_loss(out["read"], out["read_other"])
        return terms

    def manipulate(self, images: Tensor, reference: Tensor) -> Tensor:
        """Real images (N, C, H, W) with the attribute of interest of synthetic ones, one for each of them.

        The same as ``translate(reference, "b2a", guide=images)``.
        """
        return self.translate(reference, "b2a", guide=images)

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The code of the attribute of interest (N, D) of images (N, C, H, W) of ``a`` or ``b``: c, or mu.

        Raises:
            ValueError: for another domain, or images of wrong channels.
        """
        self.check_images(images, domain)
        specified, mean, _ = self._codes(images)
        return specified if self.specified == "attribute" else mean

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        assert guide is not None
        shared, drawn = (images, guide) if self.specified == "attribute" else (guide, images)
        made = self._shown(self._codes(shared)[0], self._codes(drawn)[1])
        return in_size_of(images, made)
