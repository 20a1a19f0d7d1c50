"""The networks of DIDD: an autoencoder whose code has a part that domains share and one for each, and its critic."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, cat, nn

from crossdomain.checks import at_least
from crossdomain.networks.composite import Composite
from crossdomain.networks.norms import Norm, make_norm, normalize_spectrally


def _encoder(channels: int, widths: list[int], norm: Norm, last_norm: Norm) -> nn.Sequential:
    """4x4 convolutions of stride 2, of these widths."""
    norms = [*[norm] * (len(widths) - 1), last_norm]
    layers: list[nn.Module] = []
    for (c, wider), kind in zip(pairwise([channels, *widths]), norms, strict=True):
        layers += [nn.Conv2d(c, wider, 4, stride=2, padding=1), make_norm(kind, wider), nn.LeakyReLU(0.2, True)]
    encoder = nn.Sequential(*layers)
    normalize_spectrally(encoder)
    return encoder


def _decoder(widths: list[int], channels: int, norm: Norm) -> nn.Sequential:
    """Transposed 4x4 convolutions that double the sides, of these widths, and a last one to images."""
    layers: list[nn.Module] = []
    for c, narrower in pairwise(widths):
        layers += [nn.ConvTranspose2d(c, narrower, 4, stride=2, padding=1), make_norm(norm, narrower), nn.ReLU(True)]
    decoder = nn.Sequential(*layers)
    normalize_spectrally(decoder)
    return decoder.extend([nn.ConvTranspose2d(widths[-1], channels, 4, stride=2, padding=1), nn.Tanh()])


class DIDDGenerator(Composite):
    """An autoencoder of both domains, of codes in three parts: common, special to a, special to b (1908.11628).

    Three encoders of 4x4 convolutions of stride 2 with widths w, 2w, 4w, 8w, 16w, 16w, and one decoder of transposed
    ones back, all but its last with spectral norm. Of the last width s are special to a and s to b; the common encoder
    has what is left, and s fewer in the layer before. At 3 channels, width 32, s = 25 and 6 halvings it has 19,253,130
    parameters: common encoder 6,285,749, each separate one 2,992,633, decoder 6,982,115. Weights start as torch has
    them.

    Args:
        in_channels: channels of the images that are encoded.
        out_channels: channels of those that are decoded.
        width: w, channels after the first convolution.
        separate: s, channels of each separate part.
        halvings: how often the code is smaller than the image, 2 at least. With instance norm a code needs 2x2 places
            or more: 6 halvings for 128 px, 5 for 64 px.
        norm: after each convolution but the encoders' last ones and that of the image.
        code_norm: after the last convolution of each encoder. With ``instance`` a separate part comes near zero only
            where it is the same at all places, whatever its scale.

    Raises:
        ValueError: the separate parts leave nothing for the common one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 32,
        separate: int = 25,
        halvings: int = 6,
        norm: Norm = "instance",
        code_norm: Norm = "instance",
    ) -> None:
        super().__init__()
        at_least(1, self, width=width, separate=separate)
        at_least(2, self, halvings=halvings)
        widths = [width * 2 ** min(n, 4) for n in range(halvings)]
        common = [*widths[:-2], widths[-2] - separate, widths[-1] - 2 * separate]
        if min(common) < 1:
            raise ValueError(
                f"separate is {separate}, which leaves nothing of {widths[-2]} and {widths[-1]} channels in common.\n"
                "Lower model.generator.separate, or raise width or halvings there."
            )
        self.total_stride = 2**halvings
        self.separate_channels, self.common_channels = separate, common[-1]
        self.common = _encoder(in_channels, common, norm, code_norm)
        own = [*widths[:-1], separate]
        self.separate = nn.ModuleDict({domain: _encoder(in_channels, own, norm, code_norm) for domain in "ab"})
        self.decoder = _decoder(widths[::-1], out_channels, norm)

    def decode(self, common: Tensor, a: Tensor | None = None, b: Tensor | None = None) -> Tensor:
        """A common part (N, c, h, w) and separate ones (N, s, h, w) to (N, out_channels, H, W) in [-1, 1].

        Args:
            common: what ``common`` made of images of either domain.
            a: what ``separate["a"]`` made of images; zero when left out.
            b: what ``separate["b"]`` made of images; zero when left out.
        """
        nothing = common.new_zeros(len(common), self.separate_channels, *common.shape[2:])
        return self.decoder(cat([common, nothing if a is None else a, nothing if b is None else b], 1))

    def forward(self, x: Tensor, domain: str) -> Tensor:
        """(N, in_channels, H, W) of ``domain``, ``a`` or ``b``, to its reconstruction."""
        return self.decode(self.common(x), **{domain: self.separate[domain](x)})


class DIDDCritic(nn.Module):
    """A critic of maps of features: linear layers over all their places at once (1908.11628).

    At 462 channels, size 2 and width 512 it has 947,201 parameters.

    Args:
        in_channels: channels of the map.
        out_channels: logits.
        size: height and width of the map; those of training images, divided by 2 to the autoencoder's ``halvings``.
        width: units of the hidden layer.
    """

    def __init__(self, in_channels: int, out_channels: int, size: int = 2, width: int = 512) -> None:
        super().__init__()
        at_least(1, self, size=size, width=width)
        self.size = size
        hidden = nn.Linear(in_channels * size**2, width)
        self.model = nn.Sequential(nn.Flatten(), hidden, nn.LeakyReLU(0.2, True), nn.Linear(width, out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, size, size) to logits (N, out_channels).

        Raises:
            ValueError: the map has another size.
        """
        if x.shape[2:] != (self.size, self.size):
            height, width = x.shape[2:]
            raise ValueError(
                f"DIDDCritic: size is {self.size}, but the code has {height}x{width} places.\n"
                "Set model.critic.size to data.image_size, divided by 2 as often as the generator halves images."
            )
        return self.model(x)
