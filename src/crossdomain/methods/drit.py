"""DRIT++: images taken apart into a content whose domain a critic cannot tell, and an attribute of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Unpack

from crossdomain.checks import at_least
from crossdomain.domains import BOTH, Direction
from crossdomain.losses import NonSaturating, Objective, confusion, mode_seeking, standard_normal_kl
from crossdomain.method import Batch, GameOptions, Method, NetworkFactory, Terms, frozen
from crossdomain.networks import ContentCritic, DRITGenerator, drit_critic
from crossdomain.noise import Noise
from crossdomain.optimization import OptimizerFactory, ScheduleFactory
from crossdomain.semantic import SemanticConsistency, SemanticFactory


class DRIT(Method):
    """DRIT++ (Lee, Tseng, Mao, Huang, Lu, Singh, Yang, IJCV 2020, arXiv 1905.01270), of DRIT (arXiv 1808.00948).

    Each domain has encoders of content and of attribute, and a decoder: ``c_a = content_a(a) + n``, n ~ N(0, I), s_a ~
    N(mu_a, var_a) of ``attribute_a(a)``, and ``decode_a(c_a, s_a)``. A critic D tells c_a from c_b, and contents are
    to leave it at 1/2. With b~ = decode_b(c_a, s_b) and b_z = decode_b(c_a, z), z ~ N(0, I), the autoencoders minimise

        w L_GAN(C_b, b~) + w_z (L_GAN(C'_b, b_z) + L_GAN(C'_b, b_z')) + w_c CE(D(c_a), 1/2)
        + lambda_cc |decode_a(content_b(b~) + n', s'_a) - a| + lambda_x |decode_a(c_a, s_a) - a|
        + lambda_kl KL(N(mu_a, var_a) || N(0, I)) + lambda_n E c_a^2
        + lambda_z |mean of attribute_b(b_z) - z| + lambda_ms / (|b_z - b_z'| / |z - z'|)

    and the same with a and b exchanged. The cross-cycle (lambda_cc) exchanges attributes twice: s'_a is drawn from
    ``attribute_a(a~)`` of the other translation. Both domains have the same z and z'. The latent term does not move
    encoders of attributes, which decoders could otherwise hide z for. KL is summed over the attribute's entries, all
    else are means. :class:`DRITShapeGenerator` draws no attributes; E s_a^2 takes the place of KL there. DRIT has no
    lambda_ms, and so no z'. ``translate`` and ``encode`` add no noise.

    The critics move before the autoencoders, and remember no earlier translations. D moves in each round; all others in
    the last of every ``content_critic_rounds`` alone.

    Args:
        channels_a: channels of domain a.
        channels_b: channels of domain b.
        latent: length of an attribute.
        generator: makes encoders and decoder of a domain from its channels and the length of an attribute.
        critic: makes C and C' from channels in and out.
        content_critic: makes D from the channels of a content and 1.
        objective: makes L_GAN.
        adversarial_encoded_weight: w.
        adversarial_random_weight: w_z.
        adversarial_content_weight: w_c; 0 leaves D out.
        cycle_weight: lambda_cc.
        image_weight: lambda_x.
        kl_weight: lambda_kl.
        content_norm_weight: lambda_n.
        latent_weight: lambda_z.
        mode_seeking_weight: lambda_ms; 0 is DRIT.
        content_critic_rounds: moves of D, on a batch each, for a move of the others. ``generator_interval`` counts
            rounds of these alone.
        content_critic_clip: largest norm of D's gradient. None leaves it to ``gradient_clip``.
        content_critic_optimizer: optimizer of D. None is that of all players.
        content_critic_schedule: schedule of D. None is that of all players.
        semantic_classifier: checkpoint of a classifier of domain a that keeps an image's class. Read when training
            starts (:class:`SemanticConsistency`); None leaves the term out.
        semantic_weight: weight of that term.
        semantic: makes that term, :class:`SemanticConsistency` or :class:`JointSemantics`.
        options: those of :class:`Game`.

    Raises:
        ValueError: a number is too small, or ``accumulate`` is to average rounds in which not all players move.
    """

    directions = BOTH
    multimodal = True
    guide = "optional"
    objective: Objective

    def __init__(
        self,
        channels_a: int,
        channels_b: int | None = None,
        latent: int = 8,
        generator: NetworkFactory = DRITGenerator,
        critic: NetworkFactory = drit_critic,
        content_critic: NetworkFactory = ContentCritic,
        objective: Callable[[], Objective] = NonSaturating,
        adversarial_encoded_weight: float = 1.0,
        adversarial_random_weight: float = 1.0,
        adversarial_content_weight: float = 1.0,
        cycle_weight: float = 10.0,
        image_weight: float = 10.0,
        kl_weight: float = 0.01,
        content_norm_weight: float = 0.01,
        latent_weight: float = 10.0,
        mode_seeking_weight: float = 1.0,
        content_critic_rounds: int = 3,
        content_critic_clip: float | None = 5.0,
        content_critic_optimizer: OptimizerFactory | None = None,
        content_critic_schedule: ScheduleFactory | None = None,
        semantic_classifier: str | None = None,
        semantic_weight: float = 1.0,
        semantic: SemanticFactory = SemanticConsistency,
        **options: Unpack[GameOptions],
    ) -> None:
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        at_least(1, self, latent=latent, content_critic_rounds=content_critic_rounds)
        at_least(0, self, content_critic_clip=content_critic_clip or 0.0)
        self.content_critic_rounds = content_critic_rounds if adversarial_content_weight > 0 else 1
        if self.accumulate > 1 and self.content_critic_rounds > 1:
            raise ValueError(
                f"accumulate is {self.accumulate}, but it averages rounds in which every player moves once.\n"
                "Set model.content_critic_rounds to 1, or leave model.accumulate out."
            )
        self.latent = latent
        self.generators: dict[str, Any] = {d: generator(channels, latent) for d, channels in self.channels.items()}
        needed = ("content", "attribute", "decode", "share", "content_channels")
        if missing := [name for name in needed if not hasattr(self.generators["a"], name)]:
            raise ValueError(
                f"A {type(self.generators['a']).__name__} has no {missing[0]!r}, which DRIT needs of model.generator.\n"
                "Take DRITGenerator, or one with all that it has."
            )
        self.generators["b"].share(self.generators["a"])
        adversarial = {"encoded": adversarial_encoded_weight, "random": adversarial_random_weight}
        self.adversarial_weights = {branch: weight for branch, weight in adversarial.items() if weight > 0}
        for domain, channels in self.channels.items():
            self.add_module(f"generator_{domain}", self.generators[domain])
            for branch in self.adversarial_weights:
                self.add_module(f"critic_{branch}_{domain}", critic(channels, 1))
        self.players = {}
        if self.adversarial_weights:
            names = (f"critic_{branch}_{domain}" for branch in self.adversarial_weights for domain in self.channels)
            self.players["critic"] = tuple(names)
        if adversarial_content_weight > 0:
            self.content_critic = content_critic(self.generators["a"].content_channels, 1)
            self.players["content_critic"] = ("content_critic",)
        self.players["generator"] = ("generator_a", "generator_b")
        self.objective = objective()
        weights = {"adversarial_content": adversarial_content_weight, "cycle": cycle_weight, "image": image_weight}
        weights |= {"kl": kl_weight, "content_norm": content_norm_weight, "latent": latent_weight}
        weights["mode_seeking"] = mode_seeking_weight
        self.weights = {name: weight for name, weight in weights.items() if weight > 0}
        self.draws = 2 if mode_seeking_weight > 0 else int(max(adversarial_random_weight, latent_weight) > 0)
        self.content_critic_gradient_clip = content_critic_clip
        self.content_critic_optimizer = content_critic_optimizer
        self.content_critic_schedule = content_critic_schedule
        self.semantic = semantic(self, semantic_classifier, semantic_weight)

    def turns(self, player: str, round: int) -> int:
        """D moves in each round, all others in the last of every ``content_critic_rounds``."""
        if player == "content_critic":
            return 1
        others, place = divmod(round, self.content_critic_rounds)
        return super().turns(player, others) if place == self.content_critic_rounds - 1 else 0

    def _content(self, images: Tensor, domain: str) -> Tensor:
        """Contents, in training with noise."""
        content = self.generators[domain].content(images)
        return content + torch.randn_like(content) if self.training else content

    def _attribute(self, images: Tensor, domain: str) -> tuple[Tensor, Tensor, Tensor | None]:
        """A draw of each attribute, in evaluation its mean; mean and log-variance, None where nothing is drawn."""
        mean, log_variance = self.generators[domain].attribute(images)
        mean = mean.float()
        if log_variance is None:
            return mean, mean, None
        log_variance = log_variance.float()
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean) if self.training else mean
        return drawn, mean, log_variance

    def generate(self, batch: Batch) -> dict[str, Any]:
        """Take images apart, exchange attributes, put them together with their own and with random ones, and go back.

        In rounds of D alone, contents are all there is.
        """
        n = len(batch["a"])
        if len(batch["b"]) != n:
            raise ValueError(
                f"DRIT exchanges attributes of images in pairs, but the batch holds {n} of domain a and "
                f"{len(batch['b'])} of b.\nSet data.batch_size to one number for both domains."
            )
        out: dict[str, Any] = {f"content_{d}": self._content(batch[d], d) for d in self.channels}
        if not any(self.turns(player, self.rounds) for player in self.players if player != "content_critic"):
            return out
        attributes = {}
        for d in self.channels:
            attributes[d], out[f"mean_{d}"], out[f"log_variance_{d}"] = self._attribute(batch[d], d)
        z = out["z"] = torch.randn(self.draws, n, self.latent, device=self.device)
        for direction in BOTH:
            source, target = direction.source, direction.target
            content, own = out[f"content_{source}"], out[f"content_{target}"]
            contents = torch.cat([content, own, *[content] * self.draws])
            made = self.generators[target].decode(contents, torch.cat([attributes[target], attributes[target], *z]))
            # One batch, since no norm looks at other images.
            out[f"fake_{target}"], out[f"image_{target}"], *out[f"random_{target}"] = made.split(n)
            out[f"encoded_{target}"] = [out[f"fake_{target}"]]
        if "cycle" in self.weights:
            for direction in BOTH:
                source, target = direction.source, direction.target
                content = self._content(out[f"fake_{target}"], target)
                attribute, _, _ = self._attribute(out[f"fake_{source}"], source)
                out[f"cycle_{source}"] = self.generators[source].decode(content, attribute)
        return out

    def generator_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Fool the critics; find images again; keep codes near 0; make images that differ as z does, and tell it."""
        terms = self.semantic.terms(self.directions, batch, out)
        for d, image in ((d, batch[d]) for d in self.channels):
            content, random = out[f"content_{d}"], out[f"random_{d}"]
            mean, log_variance = out[f"mean_{d}"], out[f"log_variance_{d}"]
            for branch, weight in self.adversarial_weights.items():
                critic = self.get_submodule(f"critic_{branch}_{d}")
                losses = [self.objective.generator(critic(fake)) for fake in out[f"{branch}_{d}"]]
                terms[f"adversarial_{branch}_{d}"] = weight * torch.stack(losses).sum()
            found = {
                "image": F.l1_loss(out[f"image_{d}"], image),
                "kl": mean.square().mean() if log_variance is None else standard_normal_kl(mean, log_variance).mean(),
                "content_norm": content.float().square().mean(),
            }
            if "adversarial_content" in self.weights:
                found["adversarial_content"] = confusion(self.content_critic(content))
            if "cycle" in self.weights:
                found["cycle"] = F.l1_loss(out[f"cycle_{d}"], image)
            if "latent" in self.weights:
                with frozen(self.generators[d]):  # a decoder could otherwise hide z for the encoder to find
                    read, _ = self.generators[d].attribute(random[0])
                found["latent"] = F.l1_loss(read.float(), out["z"][0])
            if "mode_seeking" in self.weights:
                found["mode_seeking"] = mode_seeking(*random, *out["z"])
            terms |= {f"{name}_{d}": self.weights[name] * loss for name, loss in found.items() if name in self.weights}
        return terms

    def critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell images from translations, one critic of those with images' attributes, one of those with random ones."""
        terms: Terms = {}
        for branch in self.adversarial_weights:
            for d in self.channels:
                critic = self.get_submodule(f"critic_{branch}_{d}")
                losses = [self.objective.critic_loss(critic, batch[d], fake) for fake in out[f"{branch}_{d}"]]
                terms[f"{branch}_{d}"] = torch.stack(losses).sum()
        return terms

    def content_critic_loss(self, batch: Batch, out: dict[str, Any]) -> Terms:
        """Tell contents of b, the class 1, from those of a."""
        logits = {d: self.content_critic(out[f"content_{d}"]) for d in self.channels}
        return {"domain": NonSaturating().critic(logits["b"], logits["a"])}

    @torch.no_grad()
    def encode(self, images: Tensor, domain: str) -> Tensor:
        """The most likely attributes (N, latent) of images (N, C, H, W) of ``domain``, ``a`` or ``b``.

        Raises:
            ValueError: for another domain, or images of wrong channels or sizes.
        """
        self.check_images(images, domain)
        return self.generators[domain].attribute(images)[0]

    def _translate(self, images: Tensor, direction: Direction, guide: Tensor | None, noise: Noise | None) -> Tensor:
        source, target = direction.source, direction.target
        if guide is not None:
            attribute = self.generators[target].attribute(guide)[0]
        else:
            assert noise is not None
            attribute = noise.normal(self.latent)
        return self.generators[target].decode(self.generators[source].content(images), attribute)
