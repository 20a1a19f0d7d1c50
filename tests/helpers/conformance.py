"""Four tiny methods, each of a kind that the zoo's first two are not."""

import torch
from torch import nn

from crossdomain.losses import ImagePool, LeastSquares, standard_normal_log_prob
from crossdomain.method import Method, frozen


class SingleDomain(Method):
    """One domain, no direction; the critic moves ``critic_turns`` times on one batch, the generator every other."""

    def __init__(self, channels_a: int, channels_b: int | None = None, critic_turns: int = 3, **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.net, self.critic = nn.Conv2d(1, channels_a, 1), nn.Conv2d(channels_a, 1, 1)
        self.players = {"critic": ("critic",), "generator": ("net",)}
        self.critic_turns = critic_turns
        self.objective = LeastSquares()
        self.pool = ImagePool(2)
        self.calls = []

    def turns(self, player, round):
        return self.critic_turns if player == "critic" else (round + 1) % 2

    def generate(self, batch):
        self.calls.append(("generate", torch.is_grad_enabled()))
        fake = self.net(torch.randn_like(batch["a"][:, :1]))
        return {"fake": fake, "pooled": self.pool(fake)}

    def critic_loss(self, batch, out):
        self.calls.append(("critic", out["fake"].requires_grad))
        return {"gan": self.objective.critic_loss(self.critic, batch["a"], out["pooled"])}

    def generator_loss(self, batch, out):
        self.calls.append(("generator", out["fake"].requires_grad))
        return {"gan": self.objective.generator(self.critic(out["fake"]))}

    def after_step(self, player):
        self.calls.append(("after_step", player))
        if player == "critic":
            with torch.no_grad():
                for p in self.critic.parameters():
                    p.clamp_(-0.01, 0.01)

    def sample(self, n, seed=None):
        noise = torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(seed or 0))
        return {"a": self.net(noise)}


class ThreePlayers(Method):
    """Vectors, aligned by a shift; private densities of both domains beside a shared one (the shape of LRMF)."""

    directions = ("a2b",)

    def __init__(self, channels_a: int, channels_b: int | None = None, density_a_optimizer=None, **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.density_a_optimizer = density_a_optimizer
        self.shift = nn.ParameterList([nn.Parameter(torch.zeros(channels_a))])
        self.shared, self.private_a, self.private_b = (_Gaussian(channels_a) for _ in range(3))
        self.players = {
            "density_a": ("private_a",),
            "generator": ("shift", "shared"),
            "density_b": ("private_b",),
        }

    def generate(self, batch):
        return {"moved": batch["a"] + self.shift[0]}

    def density_a_loss(self, batch, out):
        assert not out["moved"].requires_grad
        return {"nll": -self.private_a(out["moved"])}

    def density_b_loss(self, batch, out):
        return {"nll": -self.private_b(batch["b"])}

    def generator_loss(self, batch, out):
        return {"moved": -self.shared(out["moved"]), "b": -self.shared(batch["b"])}

    def _translate(self, images, direction, guide, noise):
        return images + self.shift[0]


class _Gaussian(nn.Module):
    def __init__(self, dimensions):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dimensions))

    def forward(self, x):
        return standard_normal_log_prob(x - self.mean).mean()


class Guided(Method):
    """The output takes its second channel from a guide of the other domain (the shape of RIFT)."""

    directions = ("a2b", "b2a")
    guide = "required"

    def __init__(self, channels_a: int, channels_b: int | None = None, **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.a2b, self.b2a = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)
        self.players = {"generator": ("a2b", "b2a")}

    def generate(self, batch):
        guide = batch["b"].roll(1, 0)
        return {"fake_b": self._translate(batch["a"], "a2b", guide, None), "guide": guide}

    def generator_loss(self, batch, out):
        return {
            "style": (out["fake_b"][:, 1] - out["guide"][:, 1]).abs().mean(),
            "rest": self.b2a(batch["b"]).square().mean(),
        }

    def _translate(self, images, direction, guide, noise):
        mixed = torch.cat([images[:, :1], guide[:, 1:]], 1)
        return self.get_submodule(direction)(mixed)


class OneWay(Method):
    """Supervised and multimodal, one direction; the critic moves before the generator, and an encoder is frozen."""

    supervised = True
    multimodal = True

    def __init__(self, channels_a: int, channels_b: int | None = None, direction: str = "a2b", **options):
        super().__init__(channels_a, channels_b, **options)
        self.save_hyperparameters()
        self.directions = (direction,)
        source, target = (self.channels[d] for d in direction.split("2"))
        self.net = nn.Conv2d(source + 1, target, 1)
        self.encoder, self.critic = nn.Conv2d(target, 1, 1), nn.Conv2d(target, 1, 1)
        self.players = {"critic": ("critic",), "generator": ("net", "encoder")}
        self.objective = LeastSquares()

    def generate(self, batch):
        source = self.directions[0].source
        noise = torch.randn_like(batch[source][:, :1])
        return {
            "fake": self.net(torch.cat([batch[source], noise], 1)),
            "noise": noise,
            "truth": batch[f"truth_{self.directions[0]}"],
        }

    def critic_loss(self, batch, out):
        return {"gan": self.objective.critic_loss(self.critic, out["truth"], out["fake"])}

    def generator_loss(self, batch, out):
        with frozen(self.encoder):
            latent = (self.encoder(out["fake"]) - out["noise"]).abs().mean()
        return {"gan": self.objective.generator(self.critic(out["fake"])), "latent": latent}

    def _translate(self, images, direction, guide, noise):
        z = noise.normal(1, *images.shape[2:])
        return self.net(torch.cat([images, z], 1))
