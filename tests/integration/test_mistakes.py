"""What a user can get wrong: each mistake is answered in three lines at most, which name it, and nothing is written."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossdomain import cli, flows, hub, methods, networks, serialization
from crossdomain.commands.option_checks import refuse_absent_accelerator
from crossdomain.companions import DomainClassifier

RECIPES = {
    "empty": "",
    "list": "- model\n- data\n",
    "text": "alignflow\n",
    "tab": "model:\n\tclass_path: CycleGAN\n",
    "broken": "model: [1, 2\ndata: }\n",
    "doubled": "model:\n  class_path: CycleGAN\ndata: Digits\nmodel:\n  class_path: AlignFlow\n",
    "top": "modle:\n  class_path: CycleGAN\ndata: Digits\n",
    "option": "model:\n  class_path: CycleGAN\n  init_args:\n    generatr: ResNetGenerator\ndata: Digits\n",
    "init": "model:\n  class_path: CycleGAN\n  init_arg:\n    generator: ResNetGenerator\ndata: Digits\n",
    "trainer": "trainer:\n  max_epoch: 3\nmodel: CycleGAN\ndata: Digits\n",
    "deep": "model:\n  class_path: CycleGAN\n  init_args:\n    generator:\n      class_path: ResNetGenerator\n"
    "      init_args:\n        widht: 8\ndata: Digits\n",
    "classless": "model:\n  init_args:\n    pool_size: 3\ndata: Digits\n",
    "value": "model:\n  class_path: CycleGAN\n  init_args:\n    pool_size: many\ndata: Digits\n",
    "model": "data: Digits\n",
}


def changed(checkpoint, name, **changes):
    torch.save({**checkpoint, **changes}, name)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with all kinds of files that are not what they should be."""
    folder = tmp_path_factory.mktemp("mistakes")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in RECIPES.items():
            Path(f"{name}.yaml").write_text(text)
        Path("binary.yaml").write_bytes(bytes(range(256)))
        Path("notes.txt").write_text("no picture\n")
        Path("page.ckpt").write_text("<!DOCTYPE html><title>404 not found</title>")
        Path("empty.ckpt").touch()
        Path("pickle.ckpt").write_bytes(pickle.dumps({"run": print}))
        torch.save({"weight": torch.zeros(3)}, "state_dict.ckpt")
        torch.save({"state_dict": {}, "hyper_parameters": {}, "epoch": 3}, "foreign.ckpt")
        file = hub.find_checkpoint("alignflow-digits")
        Path("cut.ckpt").write_bytes(file.read_bytes()[:100_000])
        whole = torch.load(file)
        options = whole["hyper_parameters"]
        changed(whole, "header.ckpt", crossdomain={})
        changed(whole, "newer.ckpt", crossdomain={**whole["crossdomain"], "format": 99})
        changed(whole, "weightless.ckpt", state_dict=None)
        changed(whole, "misfit.ckpt", state_dict={})
        changed(whole, "hostile.ckpt", hyper_parameters={**options, "_class_path": "os.system"})
        network = {"class_path": "crossdomain.networks.ResNetGenerator", "init_args": {}}
        changed(whole, "network.ckpt", hyper_parameters={**options, "flow": network})
        serialization.write(DomainClassifier(1), "classifier.ckpt")
        Path("nothing").mkdir()
        Path("photos").mkdir()
        Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save("photos/grey.png")
        Image.fromarray(np.zeros((1, 1), dtype=np.uint8)).save("dot.png")
    return folder


QUIET = "--trainer.logger false --trainer.enable_checkpointing false --trainer.enable_progress_bar false " \
        "--trainer.enable_model_summary false --trainer.precision 32-true --trainer.num_sanity_val_steps 0"  # fmt: skip
ALIGNFLOW = "fit --config alignflow " + QUIET
CYCLEGAN = "fit --config cyclegan " + QUIET
FGAN = ALIGNFLOW + " --model.objective FGAN"
OUT = "photos/grey.png --output out --direction a2b"

LIGHTNING = [
    # subcommands, and words in the wrong place
    ("", ["subcommand is missing", "fit, validate, test, predict"]),
    ("train --config alignflow", ["no subcommand 'train'"]),
    ("fti --config alignflow", ["no subcommand 'fti'", "Nearest: fit"]),
    ("--config alignflow fit", ["fit comes first, before --config"]),
    ("fit alignflow", ["'alignflow' stands alone", "--config alignflow"]),
    ("fit zoo/alignflow.yaml", ["stands alone", "--config zoo/alignflow.yaml"]),
    ("fit --config alignflow extra", ["'extra' stands alone", "--OPTION VALUE"]),
    ("fit -config alignflow", ["no option -config", "Nearest: --config"]),
    # recipes
    ("fit --config alignflw", ["no recipe 'alignflw'", "alignflow"]),
    ("fit --config ./nowhere.yaml", ["no recipe './nowhere.yaml'", "crossdomain list"]),
    ("fit --config photos", ["The recipe 'photos' is a folder", "YAML"]),
    ("fit --config photos/grey.png", ["'photos/grey.png' is no text", "YAML"]),
    ("fit --config empty.yaml", ["'empty.yaml' is empty", "model, data and trainer"]),
    ("fit --config list.yaml", ["'list.yaml' holds a list", "options by name"]),
    ("fit --config text.yaml", ["'text.yaml' holds a str", "options by name"]),
    ("fit --config tab.yaml", ["'tab.yaml' is no YAML, line 2: a tab", "spaces"]),
    ("fit --config broken.yaml", ["'broken.yaml' is no YAML, line 2: expected ',' or ']'"]),
    ("fit --config binary.yaml", ["'binary.yaml' is no text"]),
    ("fit --config doubled.yaml", ["'doubled.yaml'", "line 4: the key 'model' stands twice"]),
    ("fit --config top.yaml", ["no option modle", "Nearest: model"]),
    ("fit --config option.yaml", ["no option model.generatr: CycleGAN", "Nearest: model.generator,"]),
    ("fit --config init.yaml", ["no option model.init_arg", "Nearest: model.init_args"]),
    ("fit --config trainer.yaml", ["no option trainer.max_epoch", "Nearest: trainer.max_epochs"]),
    ("fit --config deep.yaml", ["no option model.generator.widht: ResNetGenerator", "Nearest: model.generator.width"]),
    ("fit --config classless.yaml", ["model.pool_size", "no class for model", "class_path"]),
    ("fit --config value.yaml", ["model.pool_size is 'many'", "Expected: int"]),
    ("fit --config model.yaml", ["Required: --model"]),
    ("fit", ["Required: --data and --model", "--config"]),
    # misspelt options
    ("fit --confg alignflow", ["no option confg", "Nearest: config"]),
    ("fit --config alignflow --trainer.max_epoch 3", ["no option trainer.max_epoch:", "Nearest: trainer.max_epochs"]),
    ("fit --config alignflow --datas Digits", ["no option datas", "Nearest: data"]),
    ("fit --config alignflow --model.flow.widht 9", ["no option model.flow.widht: ImageFlow", "model.flow.width"]),
    ("fit --config alignflow --model.critic.width 8 --model.flow.widht=9", ["no option model.flow.widht: ImageFlow"]),
    ("fit --config alignflow --model.cycle_weight 3", ["no option model.cycle_weight: AlignFlow"]),
    ("fit --config cyclegan --model.cycle_weight 3", ["model.cycle_weight: CycleGAN", "Nearest: model.cycle_weight_b"]),
    ("fit --config cyclegan --model.flow ImageFlow", ["no option model.flow: CycleGAN", "--model.help CycleGAN"]),
    ("fit --config alignflow --model.optimizer SGD --model.optimizer.betas [0,1]", ["model.optimizer.betas: SGD"]),
    ("fit --config alignflow --data.batch_sise 8", ["no option data.batch_sise: Digits", "Nearest: data.batch_size"]),
    ("fit --config alignflow --model.flow.width.x 3", ["no option model.flow.width.x", "--model.flow.width VALUE"]),
    ("fit --config alignflow --model.channels_a 3", ["model.channels_a is given by the data"]),
    ("fit --config alignflow --model.critic.in_channels 3", ["model.critic.in_channels is given by the data"]),
    ("fit --model.pool_size 3 --model CycleGAN --data Digits", ["model.pool_size comes before", "--model CycleGAN"]),
    ("fit --config alignflow --model.objective Hinge --model.objective.penalty.weight 3",
     ["no class for model.objective.penalty", "--model.objective.penalty GradientPenalty"]),
    ("fit --config alignflow --trainer.callbacks RoundCheckpoint --trainer.callbacks.every_n_round 3",
     ["no option trainer.callbacks.every_n_round: RoundCheckpoint", "trainer.callbacks.every_n_rounds"]),
    ("fit --config alignflow --model.critic.colour 1",
     ["model.critic.colour: PatchCritic", "Nearest: model.critic.layers, model.critic.noise, model.critic.norm"]),
    ("fit --config alignflow --untrained true", ["'true' stands alone"]),
    ("fit --config mmd --model.discrepancy.estimatr linear", ["MMD does not take it", "discrepancy.estimator"]),
    ("fit --config mmd --model.discrepancy EMD --model.discrepancy.powr 2", ["EMD does not take", "discrepancy.power"]),
    ("fit --config alignflow --model.semantic JointSemantics --model.semantic.gat 2",
     ["JointSemantics does not take it", "model.semantic.gate"]),
    ("fit --config alignflow --model.semantic JointSemantic", ["no class 'JointSemantic'", "Nearest: JointSemantics"]),
    ("fit --config classifier_selftrained --model.self_training SelfTrainin", ["Nearest: SelfTraining"]),
    # values that are missing
    ("fit --config", ["--config has no value"]),
    ("fit --config alignflow --model.pool_size", ["--model.pool_size has no value"]),
    ("fit --config alignflow --ckpt_path --trainer.max_epochs 3", ["--ckpt_path has no value"]),
    ("fit --config alignflow --trainer.max_epochs", ["Expected: --trainer.max_epochs VALUE"]),
    ("fit --config alignflow --trainer.callbacks EarlyStopping", ["trainer.callbacks.monitor is missing"]),
    # classes
    ("fit --config alignflow --model AlignFlw", ["model: there is no class 'AlignFlw'", "Nearest: AlignFlow"]),
    ("fit --config alignflow --model crossdomain.methods.Foo", ["model: there is no class 'crossdomain.methods.Foo'"]),
    ("fit --config alignflow --model nowhere.Foo", ["model: there is no class 'nowhere.Foo'"]),
    ("fit --config alignflow --model os.system", ["model: there is no class 'os.system'"]),
    ("fit --config alignflow --model Digits", ["model is Digits, which is no Method", "AlignFlow"]),
    ("fit --config alignflow --data AlignFlow", ["data is AlignFlow, which is no LightningDataModule", "Digits"]),
    ("fit --config alignflow --model.flow ResNetGenerator", ["model.flow is ResNetGenerator, which is no Flow"]),
    ("fit --config alignflow --model.flow ImageFlo", ["model.flow: there is no class", "Nearest: ImageFlow"]),
    ("fit --config alignflow --model.critic PatchCritc", ["model.critic: there is no class", "Nearest: PatchCritic"]),
    ("fit --config alignflow --model.objective Hing", ["model.objective: there is no class", "Nearest: Hinge"]),
    ("fit --config alignflow --model.optimizer Adm", ["model.optimizer: there is no class 'Adm'", "Adam"]),
    ("fit --config alignflow --model.schedule LinearDecy", ["model.schedule: there is no class", "LinearDecay"]),
    ("fit --config alignflow --trainer.callbacks RoundCheckpont", ["callbacks: there is no class", "RoundCheck"]),
    ("fit --config classifier_source --model.network AlignFlow", ["model.network is AlignFlow, a method", "network"]),
    # values of the wrong type, and out of range
    ("fit --config alignflow --model.flow.width 8.5", ["model.flow.width is '8.5'", "Expected: int"]),
    ("fit --config alignflow --model.optimizer.lr abc", ["model.optimizer.lr is 'abc'", "Expected: float"]),
    ("fit --config alignflow --model.optimizer.betas 2", ["model.optimizer.betas is '2'", "tuple"]),
    ("fit --config alignflow --model.critic.norm layer", ["model.critic.norm is 'layer'", "'batch'"]),
    ("fit --config alignflow --data.b inverse", ["data.b is 'inverse'", "'inverted'"]),
    ("fit --config alignflow --trainer.precision half", ["trainer.precision is 'half'", "'bf16-mixed'"]),
    ("fit --config alignflow --trainer.max_epochs ten", ["trainer.max_epochs is 'ten'", "int"]),
    ("fit --config alignflow --seed_everything abc", ["seed_everything is 'abc'", "int"]),
    ("fit --config alignflow --seed_everything -1", ["seed_everything is -1", "at least 0"]),
    ("fit --config alignflow --trainer.devices many", ["trainer.devices is 'many'", "auto"]),
    ("fit --config alignflow --trainer.devices 0", ["trainer.devices is '0'", "at least 1"]),
    ("fit --config alignflow --trainer.devices -3", ["trainer.devices is '-3'"]),
    ("fit --config alignflow --trainer.check_val_every_n_epoch 0", ["check_val_every_n_epoch is 0", "at least 1"]),
    ("fit --config alignflow --trainer.log_every_n_steps -1", ["trainer.log_every_n_steps is -1", "at least 1"]),
    ("fit --config alignflow --trainer.gradient_clip_val 1", ["trainer.gradient_clip_val", "--model.gradient_clip 1"]),
    ("fit --config alignflow --trainer.strategy fsdp", ["trainer.strategy 'fsdp'", "DDP"]),
    (f"{ALIGNFLOW} --trainer.limit_train_batches 2.5", ["limit_train_batches", "[0.0, 1.0] or an int"]),
    (f"{ALIGNFLOW} --data.batch_size 0", ["data.batch_size is 0", "at least 1"]),
    (f"{ALIGNFLOW} --data.num_workers -1", ["data.num_workers is -1", "at least 0"]),
    (f"{ALIGNFLOW} --data.image_size -16", ["data.image_size is -16", "at least 1"]),
    (f"{ALIGNFLOW} --model.flow.steps 0", ["ImageFlow: steps is 0", "at least 1"]),
    (f"{ALIGNFLOW} --model.critic.layers 0", ["PatchCritic: layers is 0", "at least 1"]),
    (f"{CYCLEGAN} --model.generator.width -4", ["ResNetGenerator: width is -4", "at least 1"]),
    (f"{CYCLEGAN} --model.generator.blocks -1", ["ResNetGenerator: blocks is -1", "at least 0"]),
    (f"{CYCLEGAN} --model.cycle_weight_a -1", ["CycleGAN: cycle_weight_a is -1.0", "at least 0"]),
    (f"{CYCLEGAN} --model.gradient_clip -1", ["CycleGAN: gradient_clip is -1.0", "at least 0"]),
    (f"{CYCLEGAN} --model.optimizer.betas [2,0.9]", ["model.optimizer", "Invalid beta parameter at index 0: 2.0"]),
    (f"{ALIGNFLOW} --model.critic_turns 0", ["critic_turns is 0", "at least 1"]),
    (f"{ALIGNFLOW} --data.channels 2", ["data.channels is 2", "1 (grey) or 3"]),
    (f"{FGAN} --model.objective.divergence foo", ["model.objective.divergence is 'foo'", "'total_variation'"]),
    (f"{FGAN} --model.objective.divergence alpha", ["alpha is None, but the divergence 'alpha' needs a number"]),
    (f"{FGAN} --model.objective.penalty GradientPenality", ["objective.penalty: there is no", "GradientPenalty"]),
    ("fit --config adda " + QUIET, ["start_from names none", "by a recipe classifier_source"]),
    (f"fit --config adda {QUIET} --model.start_from alignflow-digits", ["a AlignFlow, which cannot classify"]),
    (f"fit --config adda {QUIET} --model.start_from classifier.ckpt --model.network LeNet", ["(20, 1, 5, 5) here"]),
    ("fit --config classifier_adapted --model.train_on a", ["a translator goes with 'a2b' and 'b2a'"]),
    ("fit --config alignflow --trainer.accumulate_grad_batches 2", ["--model.accumulate 2"]),
    ("fit --config alignflow --trainer.strategy deepspeed", ["'deepspeed' cannot run", "DDP"]),
    # checkpoints
    ("test --config alignflow", ["test needs a trained method", "--ckpt_path", "--untrained"]),
    ("validate --config alignflow", ["validate needs a trained method", "--ckpt_path"]),
    ("predict --config alignflow", ["predict needs a trained method", "--ckpt_path"]),
    ("fit --config alignflow --untrained", ["--untrained cannot be combined with fit"]),
    ("test --config alignflow --untrained --ckpt_path x", ["--untrained cannot be combined with --ckpt_path"]),
    ("test --config alignflow --ckpt_path last", ["ckpt_path is 'last'", "path of a checkpoint"]),
    ("test --config alignflow --ckpt_path alignflow-digit", ["no checkpoint 'alignflow-digit'", "alignflow-digits"]),
    ("test --config alignflow --ckpt_path page.ckpt", ["'page.ckpt' cannot be read as a checkpoint"]),
    ("fit --config alignflow --ckpt_path alignflow-digits", ["'alignflow-digits'", "Use --init_from alignflow-digits"]),
    ("fit --config alignflow --ckpt_path x --init_from y", ["init_from", "ckpt_path", "Leave one"]),
    ("test --config alignflow --init_from alignflow-digits", ["init_from", "Use --ckpt_path"]),
    (f"{ALIGNFLOW} --init_from foreign.ckpt", ["'foreign.ckpt' is not a checkpoint of crossdomain"]),
    ("fit --config alignflow --ckpt_path nothing.ckpt", ["no checkpoint 'nothing.ckpt'"]),
    ("fit --config alignflow --init_from alignflow-digit", ["no checkpoint 'alignflow-digit'", "alignflow-digits"]),
    ("test --config alignflow --ckpt_path https://host/x.ckpt", ["lacks the SHA-256", "#sha256=HEX"]),
    (f"test --config alignflow --data.channels 3 --ckpt_path alignflow-digits {QUIET}", ["trained on [1,"]),
    (f"fit --config classifier_source --init_from cyclegan-digits {QUIET}", ["No weights fit", "a CycleGAN for"]),
    (f"predict --config classifier_source --untrained {QUIET}", ["DomainClassifier does not translate"]),
    (f"predict --config lrmf_gaussians --untrained {QUIET}", ["LRMF translates vectors", "translate in Python"]),
    # what the data does not allow
    (f"{ALIGNFLOW} --data DigitPair --data.root .", ["dataset mnist is not complete in"]),
    (f"{ALIGNFLOW} --data UnpairedFolder --data.root nowhere", ["no folder trainA in", "nowhere", "data.root"]),
    (f"{ALIGNFLOW} --data PairedFolder --data.root notes.txt", ["no folder train in", "notes.txt", "data.root"]),
    (f"{ALIGNFLOW} --data.batch_size 999", ["fewer than one batch of 999", "data.batch_size to at most 620"]),
    (f"{ALIGNFLOW} --data.image_size 18", ["data.image_size is 18", "16 or 20"]),
    (f"{ALIGNFLOW} --model.critic.layers 6", ["Images of 16x16 px do not fit critic_a, a PatchCritic"]),
    (f"{CYCLEGAN} --data.image_size 4", ["Images of 4x4 px do not fit a2b, a ResNetGenerator", "data.image_size"]),
    (f"{ALIGNFLOW} --data Gaussians", ["does not fit flow_a, a ImageFlow", "2 dimension"]),
    (f"fit --config puppetgan {QUIET} --data Digits --data.image_size 32", ["has no 'reference_b'", "PuppetDigits"]),
]  # fmt: skip

CROSSDOMAIN = [
    ("", ["required: command", "crossdomain --help"]),
    ("translat", ["command is 'translat'", "Nearest: translate"]),
    ("fit --config alignflow", ["command is 'fit'", "lightning fit"]),
    ("--nowhere", ["no option --nowhere"]),
    ("list extra", ["unrecognized arguments: extra"]),
    ("list --wide", ["no option --wide"]),
    ("data", ["required: task"]),
    ("data chek photos", ["task is 'chek'", "Nearest: check"]),
    ("data check nowhere", ["no folder 'nowhere'"]),
    ("data check nothing", ["'nothing' holds no image"]),
    ("data check notes.txt", ["'notes.txt' is neither a .tar.gz nor a .zip"]),
    ("data cityscapes photos photos", ["no file CITY/FRAME_leftImg8bit.png", "photos"]),
    ("translate", ["required: model, paths, --output", "crossdomain translate --help"]),
    ("translate alignflow-digits photos", ["required: --output"]),
    (f"translate alignflow-digits {OUT} --sampels 3", ["no option --sampels", "Nearest: --samples"]),
    (f"translate alignflow-digits {OUT} --samples three", ["--samples is 'three'", "Expected: int"]),
    (f"translate alignflow-digits {OUT} --samples 3", ["samples is 3"]),
    (f"translate alignflow-digits {OUT} --seed 99999999999999999999", ["seed is 99999999999999999999"]),
    (f"translate alignflow-digits {OUT} --direction a2c", ["no direction 'a2c'", "a2b"]),
    (f"translate alignflow-digits {OUT} --direction", ["--direction has no value"]),
    ("translate alignflow-digits photos --output out", ["needs a direction", "a2b, b2a"]),
    (f"translate alignflow-digits {OUT} --device gpu0", ["device is 'gpu0'", "cpu"]),
    (f"translate alignflow-digits {OUT} --device cuda:77", ["device is 'cuda:77'", "cpu"]),
    (f"translate alignflow-digits {OUT} --guide dot.png", ["takes no guide"]),
    ("translate rift-shapes photos --output out --direction a2b", ["RIFT needs a guide"]),
    ("translate alignflow-digits nowhere.png --output out", ["'nowhere.png'"]),
    ("translate alignflow-digits nothing --output out", ["'nothing' holds no image"]),
    ("translate alignflow-digits notes.txt --output out --direction a2b", ["'notes.txt' cannot be read as an image"]),
    ("translate alignflow-digits photos --output notes.txt --direction a2b", ["'notes.txt' is a file", "folder"]),
    ("translate cyclegan-digits dot.png --output out --direction a2b", ["'dot.png' is 1x1 px, too small", "to 8 px"]),
    ("translate lrmf-moons photos --output out --direction a2b", ["moves vectors"]),
    ("translate flowgan-digits photos --output out", ["FlowGAN does not translate"]),
    ("translate classifier.ckpt photos --output out", ["DomainClassifier does not translate"]),
    (f"translate alignflow-digit {OUT}", ["no checkpoint 'alignflow-digit'", "alignflow-digits"]),
    (f"translate photos {OUT}", ["no checkpoint 'photos'"]),
    (f"translate https://host/x.ckpt {OUT}", ["lacks the SHA-256", "https://host/x.ckpt#sha256=HEX"]),
    (f"translate ftp://host/x.ckpt {OUT}", ["'ftp://host/x.ckpt'", "https://HOST/FILE"]),
    *[(f"translate {name}.ckpt {OUT}", [f"{name}.ckpt' cannot be read as a checkpoint"])
      for name in ("page", "empty", "pickle", "cut")],
    *[(f"translate {name}.ckpt {OUT}", [f"'{name}.ckpt' is not a checkpoint of crossdomain"])
      for name in ("state_dict", "foreign")],
    *[(f"translate {name}.ckpt {OUT}", [f"'{name}.ckpt' is no whole checkpoint"]) for name in ("header", "weightless")],
    (f"translate newer.ckpt {OUT}", ["'newer.ckpt' has format 99", "Update"]),
    (f"translate misfit.ckpt {OUT}", ["'misfit.ckpt'", "weights do not fit AlignFlow"]),
    (f"translate hostile.ckpt {OUT}", ["'hostile.ckpt'", "'os.system'"]),
    (f"translate network.ckpt {OUT}", ["'network.ckpt'", "flow is nothing that AlignFlow takes"]),
    ("compare alignflow-digits", ["Required: --data"]),
    ("compare alignflow-digits --data Digit", ["data: there is no class 'Digit'", "Digits"]),
    ("compare alignflow-digits --data Digits --fromat csv", ["no option fromat", "Nearest: format"]),
    ("compare alignflow-digits --data Digits --format xml", ["format is 'xml'", "'csv'"]),
    ("compare alignflow-digits --data Digits --data.batch_sise 3", ["no option data.batch_sise: Digits"]),
    ("compare alignflow-digits --data Digits --evaluation.judge x", ["no option evaluation.judge:", "judge_b"]),
    ("compare alignflow-digits --data Digits --evaluation.judge_b x.ckpt", ["no checkpoint 'x.ckpt'"]),
    ("compare alignflow-digits --data Digits --pictures -1", ["pictures is -1", "at least 0"]),
    ("compare alignflow-digits --data Digits --logs notes.txt", ["notes.txt' is a file", "folder"]),
    ("compare alignflow-digits --data Moons", ["No member fits Moons", "alignflow-digits: trained on digits"]),
    ("compare nothing --data Digits", ["The run 'nothing' has no checkpoint"]),
    ("adapt --config alignflw", ["no recipe 'alignflw'", "alignflow"]),
    ("adapt --config pix2pix", ["'pix2pix.yaml' trains on ToyFacades", "classifiers of its table on Digits"]),
    ("adapt --config rift_shapes --semantic", ["'rift_shapes.yaml'"]),
    ("adapt --config adda --semantic", ["adda has no semantic consistency", "Leave --semantic out"]),
    ("adapt --config empty.yaml", ["'empty.yaml' is empty"]),
    ("adapt --seed x", ["--seeds is 'x'", "Expected: int"]),
    ("adapt --semantic target", ["--semantic is 'target'", "Nearest: "]),
    ("adapt --semantics", ["no option --semantics", "Nearest: --semantic"]),
    ("embed alignflow-digits", ["required: --config"]),
    ("embed nowhere.ckpt --config alignflow", ["no checkpoint 'nowhere.ckpt'"]),
    ("embed alignflow-digits --config alignflow --output photos", ["'photos' is a folder", "file"]),
    ("import x.pth", ["required: --from, --output"]),
    ("import x.pth --from cyclegan --output out.ckpt", ["'x.pth'"]),
    ("import state_dict.ckpt --from cyclgan --output out.ckpt", ["'cyclgan'", "cyclegan"]),
    ("import state_dict.ckpt --from cyclegan --output out.ckpt", ["'state_dict.ckpt'", "'weight'"]),
    ("export alignflow-digits --output out", ["AlignFlow cannot be exported", "CycleGAN"]),
    ("export cyclegan-digits --output out --to pix2pix", ["cannot be exported to 'pix2pix'", "'cyclegan'"]),
    ("export cyclegan-digits --output notes.txt", ["'notes.txt' is a file", "folder"]),
]  # fmt: skip

ENVIRONMENT = [
    (cli.main, "fit --config cyclegan_facades", {"CROSSDOMAIN_DATA": "notes.txt"}, ["notes.txt/facades", "data.root"]),
    (cli.main, "fit --config cyclegan_facades --data.download true",
     {"CROSSDOMAIN_DATA": "nothing", "CROSSDOMAIN_MIRROR": "nowhere"}, ["CROSSDOMAIN_MIRROR is 'nowhere'", "https://"]),
    (cli.crossdomain, f"translate https://localhost/x.ckpt#sha256={'0' * 64} {OUT}",
     {"CROSSDOMAIN_CACHE": "notes.txt/cache"}, ["'notes.txt/cache'"]),
    (cli.crossdomain, f"translate https://localhost/x.ckpt#sha256={'0' * 64} {OUT}",
     {"CROSSDOMAIN_CACHE": "nothing", "CROSSDOMAIN_OFFLINE": "1"}, ["not in the cache", "CROSSDOMAIN_OFFLINE is set"]),
]  # fmt: skip
CASES = [
    *((cli.main, args, {}, words) for args, words in LIGHTNING),
    *((cli.crossdomain, args, {}, words) for args, words in CROSSDOMAIN),
    *ENVIRONMENT,
]


def named(case):
    command, args, environment, _ = case
    name = args.replace(QUIET, "").replace(OUT, "")
    return " ".join(["lightning" if command is cli.main else "crossdomain", *name.split(), *environment])


@pytest.mark.parametrize(("command", "args", "environment", "words"), CASES, ids=map(named, CASES))
def test_a_mistake_is_named_in_three_lines(command, args, environment, words, workplace, capsys, monkeypatch):
    monkeypatch.chdir(workplace)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = sorted(workplace.rglob("*"))
    with pytest.raises(SystemExit) as exit_info:
        command(args.split())
    assert exit_info.value.code in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 3
    for word in words:
        assert word in "\n".join(lines)
    assert sorted(workplace.rglob("*")) == before


def test_an_absent_accelerator_is_named_and_a_present_one_taken(monkeypatch):
    for cuda in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda answer=cuda: answer)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
        for name in ("cpu", "auto", *(("gpu", "cuda") if cuda else ())):
            refuse_absent_accelerator("trainer.accelerator", name)
        for name in ("mps",) if cuda else ("gpu", "cuda", "mps"):
            with pytest.raises(ValueError, match=f"trainer.accelerator is '{name}'.*\nUse --trainer.accelerator cpu"):
                refuse_absent_accelerator("trainer.accelerator", name)


def test_there_are_a_hundred_mistakes():
    assert len({named(case) for case in CASES}) == len(CASES) >= 100


PARTS = [getattr(module, name) for module in (networks, flows) for name in module.__all__]


def numbers(cls):
    """The whole numbers that a class takes, by name, but for seeds and what the data gives."""
    parameters = serialization.parameters(cls)
    hints = {name: str(p.annotation) for name, p in parameters.items() if p.default is not p.empty}
    return [name for name, hint in hints.items() if hint == "int" and name != "seed"]


@pytest.mark.parametrize(
    ("cls", "name"),
    [(cls, name) for cls in PARTS if isinstance(cls, type) for name in numbers(cls)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_networks_and_flows_refuse_negative_numbers(cls, name):
    required = [4 for p in serialization.parameters(cls).values() if p.default is p.empty]
    with pytest.raises(ValueError, match=rf"{name} is -\d"):
        cls(*required, **{name: -4})


@pytest.mark.parametrize("cls", [getattr(methods, name) for name in methods.__all__])
def test_methods_refuse_negative_weights(cls):
    weights = [name for name in serialization.parameters(cls) if re.search("_weight(_[ab])?$", name)]
    for name in weights:
        message = f"{cls.__name__}: {name} is -1, but has to be at least 0"
        with torch.device("meta"), pytest.raises(ValueError, match=message):
            cls(1, **{name: -1})


@pytest.fixture(scope="module")
def method():
    return hub.load("alignflow-digits")


GREY = torch.zeros(1, 1, 16, 16)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.translate(GREY, "a2c"), "no direction 'a2c'; its directions: a2b, b2a"),
        (
            lambda m: m.translate(GREY.expand(1, 3, 16, 16), "a2b"),
            r"\(1, 3, 16, 16\), but AlignFlow takes \(N, 1, H, W\)",
        ),
        (lambda m: m.translate(GREY[0, 0], "a2b"), r"\(16, 16\), but AlignFlow takes"),
        (lambda m: m.translate(GREY[:0], "a2b"), r"\(0, 1, 16, 16\), but AlignFlow takes"),
        (lambda m: m.translate(GREY[:, :, :0], "a2b"), r"\(1, 1, 0, 16\), but AlignFlow takes"),
        (lambda m: m.translate(GREY.to(torch.uint8), "a2b"), "are torch.uint8, but AlignFlow takes a tensor of floats"),
        (lambda m: m.translate(GREY.numpy(), "a2b"), "are ndarray, but AlignFlow takes a tensor of floats"),
        (lambda m: m.translate([[0.0]], "a2b"), "are list, but AlignFlow takes a tensor of floats"),
        (lambda m: m.translate(GREY, "a2b", samples=2), "samples is 2"),
        (lambda m: m.translate(GREY, "a2b", guide=GREY), "takes no guide"),
        (lambda m: m.encode(GREY, "c"), "'c'"),
        (lambda m: m.sample(0), "n is 0, but has to be at least 1"),
        (lambda m: hub.load("alignflow-digits", "gpu"), "device is 'gpu', which there is not here"),
        (lambda m: hub.load("alignflow-digit"), "no checkpoint 'alignflow-digit'"),
    ],
)
def test_mistakes_in_python_are_named_in_three_lines(call, words, method):
    with pytest.raises((ValueError, FileNotFoundError), match=words) as caught:
        call(method)
    assert len(str(caught.value).splitlines()) <= 3
