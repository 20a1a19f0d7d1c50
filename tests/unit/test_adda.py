"""ADDA: its losses by hand, what stands still and what moves, the critic's gate, CyCADA's translations."""

from functools import partial

import pytest
import torch
from torch.nn import functional as F
from torch.nn.utils import parameters_to_vector

import crossdomain
from crossdomain import serialization
from crossdomain.companions import DomainClassifier
from crossdomain.datamodules import Digits
from crossdomain.domains import clamped
from crossdomain.losses import LeastSquares
from crossdomain.methods import ADDA, CycleGAN, RandomTranslation
from crossdomain.networks import ConvClassifier, LeNet, PatchCritic, ResNetGenerator, VectorNetwork, score_critic

NETWORK = partial(ConvClassifier, width=4)
SGD = partial(torch.optim.SGD, lr=0.1)


@pytest.fixture
def classifier(tmp_path):
    """A checkpoint of a classifier with running statistics that are not those of a new one, and its network."""
    method = DomainClassifier(1, network=NETWORK)
    for buffer in method.buffers():
        buffer += 1 + torch.arange(buffer.numel()).view(buffer.shape)
    serialization.write(method, tmp_path / "classifier.ckpt")
    return str(tmp_path / "classifier.ckpt"), method.network.eval()


def make(**options):
    return ADDA(1, **{"network": NETWORK, **options})


def batch(a=6, b=4):
    return {"a": 2 * torch.rand(a, 1, 16, 16) - 1, "b": 2 * torch.rand(b, 1, 16, 16) - 1}


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def differing(module, before):
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def unlike_source(**options):
    """With a target network that is not the source's any more."""
    method = make(**options)
    for parameter in method.network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return method


# --- losses ----------------------------------------------------------------------------------------------------


def test_losses_of_the_paper():
    """Unequal batches: the critic's loss is the mean over all rows, the encoder's over the target's alone."""
    method, images = unlike_source().eval(), batch()
    out = method.generate(images)
    a, b = (method.critic(network(x)) for network, x in ((method.source, images["a"]), (method.network, images["b"])))
    right = torch.cat([a.softmax(1)[:, 0], b.softmax(1)[:, 1]])
    assert method.critic_loss(images, out).keys() == {"gan"}
    torch.testing.assert_close(method.critic_loss(images, out)["gan"], -right.log().mean())
    terms = method.encoder_loss(images, out)
    assert terms.keys() == {"adversarial"}
    torch.testing.assert_close(terms["adversarial"], -b.softmax(1)[:, 0].log().mean())
    torch.testing.assert_close(method.measures(images, out), {"critic_accuracy": (right > 0.5).float().mean()})


def test_a_critic_that_knows_nothing_is_at_log_2():
    method = make().eval()
    torch.nn.init.zeros_(method.critic[-1].weight)
    torch.nn.init.zeros_(method.critic[-1].bias)
    images = batch()
    out = method.generate(images)
    for terms in (method.critic_loss(images, out), method.encoder_loss(images, out)):
        assert next(iter(terms.values())).item() == pytest.approx(0.6931472)


def test_players_move_at_once_and_by_the_networks_as_they_were(classifier, trainer, tensors):
    """A step of plain gradient descent, by hand: one batch, networks without noise."""
    images = batch(4, 4)
    method = make(start_from=classifier[0], network=partial(ConvClassifier, width=4, dropout=0.0), optimizer=SGD)
    network, source = (NETWORK(1, 10) for _ in range(2))
    network.load_state_dict(classifier[1].state_dict())
    network.model[-2].p = 0.0
    source.load_state_dict(classifier[1].state_dict())
    critic = score_critic(10, 2)
    critic.load_state_dict(method.critic.state_dict())
    scores = torch.cat([source.eval()(images["a"]).detach(), network.train()(images["b"])])
    right = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    of_network = torch.autograd.grad(F.cross_entropy(critic(scores)[4:], right[:4]), list(network.parameters()))
    of_critic = torch.autograd.grad(F.cross_entropy(critic(scores.detach()), right), list(critic.parameters()))
    trainer().fit(method, tensors({"a": images["a"]}, {"b": images["b"]}))
    assert method.rounds == 1
    for made, mine, gradients in ((method.network, network, of_network), (method.critic, critic, of_critic)):
        for after, before, gradient in zip(made.parameters(), mine.parameters(), gradients, strict=True):
            torch.testing.assert_close(after, before - 0.1 * gradient, rtol=1e-4, atol=1e-5)


def test_the_networks_of_the_papers():
    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(ADDA(1).critic) == 257_002
    assert isinstance(ADDA(1).critic, VectorNetwork)
    assert count(LeNet(1, 10)) == 431_080
    assert count(LeNet(1, 10, size=16)) == 431_080 - 500 * (800 - 50)
    net = LeNet(1, 7, size=20).eval()
    assert net(torch.zeros(2, 1, 20, 20)).shape == (2, 7)
    assert torch.equal(net.model[-1](net.features(torch.ones(2, 1, 20, 20))), net(torch.ones(2, 1, 20, 20)))
    assert count(ADDA(1, network=LeNet)) == 2 * 431_080 + 257_002
    with pytest.raises(ValueError, match="size is 12, but has to be at least 16"):
        LeNet(1, 10, size=12)


# --- what moves ------------------------------------------------------------------------------------------------


def test_both_networks_start_as_the_classifier_and_one_of_them_stays(classifier, trainer):
    path, network = classifier
    method = make(start_from=path)
    assert not differing(method.source, method.network.state_dict())
    method.prepare([])
    assert not differing(method.source, network.state_dict())
    assert not differing(method.network, network.state_dict())
    before = state(method)
    trainer(limit_train_batches=3, limit_val_batches=2).fit(method, Digits(batch_size=8))
    assert not differing(method.source, network.state_dict())  # running statistics included
    moved = differing(method, before)
    assert {name.partition(".")[0] for name in moved} == {"network", "critic"}
    assert {name for name, _ in method.network.named_parameters(prefix="network")} <= moved
    assert "network.model.1.running_mean" in moved


def test_the_source_is_never_in_training_mode():
    method = make().train()
    assert method.network.training
    assert method.network.model[-2].training  # dropout
    assert not any(module.training for module in method.source.modules())
    images = batch()
    first, second = method.generate(images)["scores"], method.generate(images)["scores"]
    assert torch.equal(first[:6], second[:6])
    assert not torch.equal(first[6:], second[6:])


def test_no_label_is_read(classifier, trainer, tensors):
    """Neither the target's nor the source's: training is the same without them."""
    images, found = batch(4, 4), []
    for labels in ({}, {"label_a": torch.arange(4)}, {"label_b": torch.arange(4)}):
        torch.manual_seed(3)
        method = make(start_from=classifier[0])
        fields = [{domain: images[domain]} for domain in "ab"]
        for name, values in labels.items():
            fields["ab".index(name[-1])][name] = values
        trainer(limit_val_batches=0, max_epochs=2).fit(method, tensors(*fields))
        found.append(state(method))
    assert not differing(method, found[0])
    for name, value in found[1].items():
        assert torch.equal(value, found[0][name])


def test_each_player_takes_an_optimizer_and_a_schedule_of_its_own():
    schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=1)
    method = make(encoder_optimizer=partial(torch.optim.SGD, lr=0.3), critic_optimizer=SGD, encoder_schedule=schedule)
    assert method.factory("encoder", "schedule") is schedule
    (encoder, critic), _ = method.configure_optimizers()
    assert (encoder.param_groups[0]["lr"], critic.param_groups[0]["lr"]) == (0.3, 0.1)
    assert encoder.param_groups[0]["params"] == list(method.network.parameters())


# --- the gate --------------------------------------------------------------------------------------------------


def judging(method, right):
    """With a critic that is right on all of a batch, or on half of it."""
    for network in (method.source, method.network):  # scores of 1 and -1
        torch.nn.init.zeros_(network.model[-1].weight)
    torch.nn.init.ones_(method.source.model[-1].bias)
    torch.nn.init.constant_(method.network.model[-1].bias, -1.0)
    method.critic = torch.nn.Linear(10, 2)
    torch.nn.init.zeros_(method.critic.bias)
    method.critic.weight.data = (torch.tensor([[0.1], [-0.1]]) if right else torch.zeros(2, 1)).expand(2, 10).clone()
    return method


@pytest.mark.parametrize(("threshold", "right", "moves"), [(0.6, True, True), (0.6, False, False), (0.5, False, False)])
def test_the_target_moves_where_the_critic_is_right_often_enough(threshold, right, moves, trainer, tensors):
    method = judging(make(critic_accuracy=threshold), right)
    method.prepared = True
    before, images = state(method), batch(4, 4)
    trainer().fit(method, tensors({"a": images["a"]}, {"b": images["b"]}))
    parameters = {name for name, _ in method.network.named_parameters(prefix="network")}
    assert bool(differing(method, before) & parameters) == moves
    assert "critic.weight" in differing(method, before)
    assert bool(method.last_terms["encoder_adversarial"]) == moves


def test_momentum_does_not_move_the_target_where_it_is_to_stay(trainer, tensors):
    """Adam moves by what it remembers even where the gradient is 0."""
    images, places = batch(4, 4), []
    method = judging(make(critic_accuracy=0.6, optimizer=partial(torch.optim.Adam, lr=1e-2)), right=True)
    method.prepared = True

    def after_step(player):
        ADDA.after_step(method, player)
        if player == "encoder":
            places.append(parameters_to_vector(method.network.parameters()).detach().clone())
        if player == "critic" and method.rounds == 0:
            method.critic.weight.data.zero_()  # right on half of the next batch

    method.after_step = after_step
    start = parameters_to_vector(method.network.parameters()).detach().clone()
    run = trainer(max_epochs=2)
    run.fit(method, tensors({"a": images["a"]}, {"b": images["b"]}))
    assert not torch.equal(places[0], start)
    assert torch.equal(places[1], places[0])
    moments = run.optimizers[0].state[method.network.model[-1].bias]
    assert moments["step"] == 2
    assert moments["exp_avg"].abs().max() > 0


def test_a_gate_does_not_go_with_averaged_rounds():
    with pytest.raises(ValueError, match=r"critic_accuracy is 0\.6 and accumulate is 2") as error:
        make(critic_accuracy=0.6, accumulate=2)
    assert len(str(error.value).splitlines()) <= 3


# --- checkpoints -----------------------------------------------------------------------------------------------


def test_a_training_goes_on_without_the_classifier(classifier, trainer, tmp_path):
    path, _ = classifier

    def fit(epochs, **options):
        torch.manual_seed(1)
        method = make(start_from=path, critic_accuracy=0.5)
        run = trainer(max_epochs=epochs, limit_train_batches=2, limit_val_batches=0)
        run.fit(method, Digits(batch_size=8), **options)
        run.save_checkpoint(tmp_path / f"{epochs}.ckpt")
        return method

    fit(1)
    whole = fit(2)
    (tmp_path / "classifier.ckpt").unlink()
    resumed = fit(2, ckpt_path=tmp_path / "1.ckpt")
    assert resumed.rounds == 4
    assert not differing(resumed, whole.state_dict())
    assert not differing(crossdomain.load(tmp_path / "2.ckpt"), whole.state_dict())


def test_classes_of_each_domain_are_told_by_its_own_network():
    method, images = unlike_source().eval(), batch()
    for domain, network in (("a", method.source), ("b", method.network)):
        assert torch.equal(method.classify(images[domain], domain), network(images[domain]))
        assert torch.equal(method.features(images[domain], domain), network.features(images[domain]))
    assert torch.equal(method.classify(images["b"]), method.network(images["b"]))
    assert not torch.equal(method.classify(images["b"], "a"), method.classify(images["b"], "b"))


def test_accuracies_of_both_domains_are_measured(trainer, tensors):
    method, images = unlike_source(), batch(8, 8)
    method.source.model[-1].bias.data[3] = 1e3
    method.network.model[-1].bias.data[7] = 1e3
    labels = torch.tensor([3, 7, 7, 0, 1, 7, 3, 7])
    fields = [{domain: images[domain], f"label_{domain}": labels} for domain in "ab"]
    (found,) = trainer().test(method, tensors(*fields), verbose=False)
    assert found["test/accuracy_a"] == pytest.approx(2 / 8)
    assert found["test/accuracy_b"] == pytest.approx(4 / 8)


# --- CyCADA ----------------------------------------------------------------------------------------------------


def test_the_source_network_sees_translations(classifier, trainer, tmp_path):
    """CyCADA's feature stage; the translator is frozen, and no part of the state."""
    options = {"generator": partial(ResNetGenerator, width=4, blocks=1), "critic": PatchCritic}
    translator = CycleGAN(1, objective=LeastSquares, **options).eval()
    serialization.write(translator, tmp_path / "translator.ckpt")
    method = make(start_from=classifier[0], translator=str(tmp_path / "translator.ckpt"))
    images = batch(4, 4)
    expected = method.source(clamped(translator.translate(images["a"], "a2b")))
    torch.testing.assert_close(method.generate(images)["scores"][:4], expected)
    assert not any(name.startswith("_translator") for name in method.state_dict())
    trainer(limit_train_batches=2, limit_val_batches=0).fit(method, Digits(batch_size=8))
    assert not differing(method._translator.on(), translator.state_dict())
    (tmp_path / "translator.ckpt").unlink()
    serialization.write(method, tmp_path / "adda.ckpt")
    assert crossdomain.load(tmp_path / "adda.ckpt").rounds == 2


# --- messages --------------------------------------------------------------------------------------------------


def refusal(method, trainer):
    with pytest.raises(ValueError, match=r"\.$") as error:
        trainer(limit_train_batches=1).fit(method, Digits(batch_size=8))
    assert len(str(error.value).splitlines()) <= 3
    return str(error.value)


def test_what_cannot_be_adapted_is_said(classifier, trainer, tmp_path):
    assert "start_from names none" in refusal(make(), trainer)
    wider = refusal(make(start_from=classifier[0], network=partial(ConvClassifier, width=8)), trainer)
    assert "whose DomainClassifier does not fit the ConvClassifier here" in wider
    assert "model.0.weight is (4, 1, 3, 3) there, (8, 1, 3, 3) here" in wider
    other = refusal(make(start_from=classifier[0], network=partial(LeNet, size=16)), trainer)
    assert "does not fit the LeNet here:\nmodel.0.weight is (4, 1, 3, 3) there, (20, 1, 5, 5) here" in other
    none = refusal(make(start_from=str(crossdomain.hub.find_checkpoint("cyclegan-digits"))), trainer)
    assert "a CycleGAN, which cannot classify" in none
    one_way = CycleGAN(1, generator=partial(ResNetGenerator, width=4, blocks=1))
    serialization.write(one_way, tmp_path / "translator.ckpt")
    method = make(start_from=classifier[0], translator=str(tmp_path / "translator.ckpt"))
    method._translator.on().directions = ("b2a",)
    assert "has no direction 'a2b'" in refusal(method, trainer)
    serialization.write(RandomTranslation(1, 1, 16), tmp_path / "translator.ckpt")
    guided = make(start_from=classifier[0], translator=str(tmp_path / "translator.ckpt"))
    assert "a RandomTranslation, which needs a guide for each image.\nGive the checkpoint" in refusal(guided, trainer)
    with pytest.raises(FileNotFoundError, match=r"There is no checkpoint 'none\.ckpt'"):
        trainer().fit(make(start_from="none.ckpt"), Digits(batch_size=8))
    with pytest.raises(ValueError, match="one classifier reads both"):
        ADDA(1, 3)
    with pytest.raises(ValueError, match="no method features"):
        ADDA(2, network=VectorNetwork).features(torch.zeros(1, 2, 4, 4), "a")
