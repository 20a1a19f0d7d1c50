"""PuppetGAN: one attribute of real images, moved as synthetic ones show by example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, DataSpec, Direction
from crossdomain.losses import Objective, full_least_squares
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms
from crossdomain.methods.triplets import in_size_of, require_size, triplet
from crossdomain.networks import PuppetDecoder, PuppetEncoder, batch_patch_critic
from crossdomain.noise import Noise


class PuppetGAN(Method):
    """PuppetGAN (Usman, Dufour, Saenko, Bregler, ICCV 2019, arXiv 1901.10024).

    Images a of the real domain come without any supervision, synthetic ones as triplets of demonstrations: b_3 (``b``)
    has the attribute of interest of b_1 (``reference_b``) and all the rest of b_2 (``rest_b``). One encoder reads both
    domains, and its embedding has two parts, of which the first is to be the attribute of interest. With the decoders
    of both, R(x, y) (real) and S(x, y) (synthetic) show the rest of x with the attribute of y. What is wanted is
    ``a~ = R(a, b_1)``, the real image moved as its puppet. With ``b~ = S(b_1, a)`` and noise n ~ N(0, sigma^2) on all
    images that are encoded again, so that they cannot hide others, encoder and decoders minimise

        lambda_r (|R(a, a) - a| + sum_i |S(b_i, b_i) - b_i|) + lambda_d |S(b_2, b_1) - b_3|
        + lambda_c (|R(S(a, a) + n) - a| + sum_i |S(R(b_i, b_i) + n) - b_i|)
        + lambda_b |S(b_2, a~ + n) - b_3| + lambda_a |R(a, b~ + n) - a| + w sum L_GAN

    where the last sum is over all outputs, 7 of R and 10 of S. Those of R are judged beside a, those of S beside what
    they are to be, or b_1. The attribute cycles, lambda_a and lambda_b, keep R from reading one of its inputs alone.
    The critics move last, on the outputs of the same round.

    ``translate`` shows the attribute of an image in the target domain, with the rest of the guide: ``b2a`` of a
    reference, with a real image as guide, is a~, and ``a2b`` is b~. ``manipulate(images, reference)`` is a~ in the
    paper's order.

    Weights, noise and networks are those of an unofficial port, since what the paper has of them is not known here.
    There the encoder moves twice in a round, by the losses of either decoder.

    Args:
        channels_a: channels of domain a, the real one.
        channels_b: channels of domain b, the synthetic one; the same number.
        latent: length of the embedding.
        attribute_latent: how much of it is the attribute of interest; what more there is room for may leak from a
            reference.
        encoder: makes the encoder from channels and the length of the embedding.
        decoder: makes a decoder from the length of the embedding and channels.
        critic: makes a critic from channels in and out.
        objective: makes L_GAN.
        adversarial_weight: w.
        reconstruction_weight: lambda_r.
        disentanglement_weight: lambda_d.
        cycle_weight: lambda_c.
        attribute_cycle_weight_a: lambda_a.
        attribute_cycle_weight_b: lambda_b.
        cycle_noise: sigma, on the scale [-1, 1].
        bottleneck_noise: standard deviation of noise on embeddings in training, which bounds what they can carry.
        options: those of :class:`Game`.

    Raises:
        ValueError: channels differ, or a part of the embedding is empty.
    """

    directions = BOTH
    guide = "required"
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        latent: int = 128,
        attribute_latent: int = 64,
        encoder: NetworkFactory = PuppetEncoder,
        decoder: NetworkFactory = PuppetDecoder,
        critic: NetworkFactory = batch_patch_critic,
        objective: Callable[[], Objective] = full_least_squares,
        adversarial_weight: float = 1.0,
        reconstruction_weight: float = 10.0,
        disentanglement_weight: float = 10.0,
        cycle_weight: float = 10.0,
        attribute_cycle_weight_a: float = 3.0,
        attribute_cycle_weight_b: float = 5.0,
        cycle_noise: float = 0.2,
        bottleneck_noise: float = 0.0,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(0, self, cycle_noise=cycle_noise, bottleneck_noise=bottleneck_noise)
        at_least(1, self, attribute_latent=attribute_latent)
        if not attribute_latent < latent:
            raise ValueError(
                f"attribute_latent is {attribute_latent} and latent is {latent}, so nothing is left for the rest.\n"
                "Set model.latent to more than model.attribute_latent."
            )
        self.require_equal_channels("one encoder reads both")
        self.encoder = encoder(channels_a, latent)
        for domain, channels in self.channels.items():
            self.add_module(f"decoder_{domain}", decoder(latent, channels))
            self.add_module(f"critic_{domain}", critic(channels, 1))
        self.players = {"generator": ("encoder", "decoder_a", "decoder_b"), "critic": ("critic_a", "critic_b")}
        self.objective = objective()
        self.attribute_latent = attribute_latent
        self.adversarial_weight = adversarial_weight
        self.reconstruction_weight = reconstruction_weight
        self.disentanglement_weight = disentanglement_weight
        self.cycle_weight = cycle_weight
        self.attribute_cycle_weights = {"a": attribute_cycle_weight_a, "b": attribute_cycle_weight_b}
        self.cycle_noise = cycle_noise
        self.code_noise = bottleneck_noise

    def _check_data(self, spec: DataSpec) -> None:
        super()._check_data(spec)
        require_size(self._decoder("a"), spec)

    # --- parts of images ---------------------------------------------------------------------------------------

    def _decoder(self, domain: str) -> nn.Module:
        return self.get_submodule(f"decoder_{domain}")

    def _code(self, images: Tensor) -> Tensor:
        """Embeddings (N, latent), noisy in training where they are to be."""
        code = self.encoder(images)
        if self.training and self.code_noise > 0:
            code = code + self.code_noise * torch.randn_like(code)
        return code

    def _code_again(self, images: Tensor) -> Tensor:
        """Embeddings of translations, through noise."""
        return self._code(images + self.cycle_noise * torch.randn_like(images))

    def _joined(self, rest: Tensor, attribute: Tensor) -> Tensor:
        """The rest of some embeddings with the attribute of others."""
        return torch.cat([attribute[:, : self.attribute_latent], rest[:, self.attribute_latent :]], 1)

    # --- training ----------------------------------------------------------------------------------------------

    def generate(self, batch: Batch) -> dict[str, Any]:
        """All that the decoders make of the images: what has a suffix lies in that domain; of triplets 3 N images."""
        a, b = batch["a"], torch.cat(self._triplet(batch))
        real, synthetic = self._decoder("a"), self._decoder("b")
        of_a, of_b = self._code(a), self._code(b)
        reference, rest, _ = of_b.chunk(3)
        out = {"image_a": real(of_a), "image_b": synthetic(of_b), "joined_b": synthetic(self._joined(rest, reference))}
        fake_a = out["fake_a"] = real(self._joined(of_a, reference))
        fake_b = out["fake_b"] = synthetic(self._joined(reference, of_a))
        if self.cycle_weight > 0:
            out |= {"between_a": real(of_b), "between_b": synthetic(of_a)}
            out["cycle_a"] = real(self._code_again(out["between_b"]))
            out["cycle_b"] = synthetic(self._code_again(out["between_a"]))
        if self.attribute_cycle_weights["a"] > 0:
            out["attribute_cycle_a"] = real(self._joined(of_a, self._code_again(fake_b)))
        if self.attribute_cycle_weights["b"] > 0:
            out["attribute_cycle_b"] = synthetic(self._joined(rest, self._code_again(fake_a)))
        return out

    def _triplet(self, batch: Batch) -> list[Tensor]:
        """b_1, b_2 and b_3, one triplet for each real image."""
        images = triplet(batch, self)
        if len({len(part) for part in (batch["a"], *images)}) > 1:
            raise ValueError("PuppetGAN moves each real image as one triplet shows; give both domains equal batches.")
        return images

    def _judged(self, out: dict[str, Any], domain: str) -> dict[str, Tensor]:
        """What the critic of a domain is shown."""
        return {name: images for name, images in out.items() if name.endswith(f"_{domain}")}

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Find images again, join parts of demonstrations, go there and back, and fool the critics with all of it."""
        terms: Terms = {}
        wanted = {"a": batch["a"], "b": torch.cat(self._triplet(batch))}
        for domain, images in wanted.items():
            count = len(images) // len(batch["a"])  # a sum over the triplet, each a mean
            terms[f"reconstruction_{domain}"] = (
                self.reconstruction_weight * count * F.l1_loss(out[f"image_{domain}"], images)
            )
            if self.cycle_weight > 0:
                terms[f"cycle_{domain}"] = self.cycle_weight * count * F.l1_loss(out[f"cycle_{domain}"], images)
            if (weight := self.attribute_cycle_weights[domain]) > 0:
                terms[f"attribute_cycle_{domain}"] = weight * F.l1_loss(out[f"attribute_cycle_{domain}"], batch[domain])
        terms["disentanglement"] = self.disentanglement_weight * F.l1_loss(out["joined_b"], batch["b"])
        for domain in self.channels:
            critic = self.get_submodule(f"critic_{domain}")
            # A sum over outputs, each a mean, and each a batch of its own for norms of batches.
            fakes = torch.cat([*self._judged(out, domain).values()]).split(len(batch["a"]))
            loss = torch.stack([self.objective.generator(critic(fake)) for fake in fakes]).sum()
            terms[f"adversarial_{domain}"] = self.adversarial_weight * loss
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell natural images from all outputs of the decoders, each beside an image of its own."""
        b_1, _, b_3 = triplet = self._triplet(batch)
        b = torch.cat(triplet)
        beside = {"image": b, "cycle": b, "joined": b_3, "attribute_cycle": b_3, "fake": b_1, "between": b_1}
        terms: Terms = {}
        for domain in self.channels:
            judged = self._judged(out, domain)
            critic = self.get_submodule(f"critic_{domain}")
            fakes = torch.cat([*judged.values()]).split(len(b_1))
            of_b = [beside[name.removesuffix("_b")] for name in judged if domain == "b"]
            reals = torch.cat(of_b).split(len(b_1)) if of_b else [batch["a"]] * len(fakes)
            losses = [self.objective.critic_loss(critic, *pair) for pair in zip(reals, fakes, strict=True)]
            terms[domain] = self.adversarial_weight * torch.stack(losses).sum()
        return terms

    # --- using it ----------------------------------------------------------------------------------------------

    def manipulate(self, images: Tensor, reference: Tensor) -> Tensor:
        """Real images (N, C, H, W) with the attribute of interest of synthetic ones, one for each of them.

        The same as ``translate(reference, "b2a", guide=images)``.
        """
        return self.translate(reference, "b2a", guide=images)

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The attribute's part (N, attribute_latent) of the embeddings of images (N, C, H, W) of ``a`` or ``b``.

        Raises:
            ValueError: for another domain, or images of wrong channels.
        """
        self.check_images(images, domain)
        return self.encoder(images)[:, : self.attribute_latent]

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        made = self._decoder(direction.target)(self._joined(self.encoder(guide), self.encoder(images)))
        return in_size_of(images, made)
