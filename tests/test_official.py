"""Weights that the authors' code wrote, against outputs that it computed.

``reference/alignflow_official.pt`` was made with the official networks of github.com/ermongroup/alignflow at commit
718bca10c9b5 (``.view`` on permuted tensors replaced by ``.reshape``, as new PyTorch asks): a Flow2Flow with 4 channels,
1 block, 2 scales, weights and running statistics moved away from their initial values, evaluation mode.
"""

import math
from pathlib import Path

import pytest
import torch

import crossdomain
from crossdomain.cli import crossdomain as crossdomain_command
from crossdomain.flows import dequantize
from crossdomain.official import import_official

REFERENCE = Path(__file__).parent / "reference" / "alignflow_official.pt"


@pytest.fixture
def reference():
    return torch.load(REFERENCE, weights_only=True)


@pytest.fixture
def file(reference, tmp_path):
    torch.save(reference["checkpoint"], tmp_path / "iter_7.pth.tar")
    return tmp_path / "iter_7.pth.tar"


def test_alignflow_gives_the_official_latents_and_densities(reference, file):
    method = import_official(file, "alignflow")
    with torch.no_grad():
        for domain, end in (("a", "src"), ("b", "tgt")):
            images = reference["images"][end].float() / 127.5 - 1
            noisy = dequantize(images, noise=reference["noise"][end])
            latents, log_det = method.get_submodule(f"flow_{domain}")(noisy)
            assert (latents - reference["latents"][end]).abs().max() < 1e-4
            # The official log-determinant leaves out the constant of mapping [-1, 1] to [0, 1].
            constant = images[0].numel() * math.log(0.5)
            torch.testing.assert_close(log_det - constant, reference["log_dets"][end], rtol=1e-6, atol=1e-4)
            logits = method.get_submodule(f"critic_{domain}")(images)
            torch.testing.assert_close(logits, reference["logits"][end], rtol=1e-4, atol=1e-5)


def test_imported_checkpoint_loads_by_the_face_and_translates(reference, file, tmp_path, capsys):
    output = tmp_path / "imported.ckpt"
    crossdomain_command(["import", str(file), "--from", "alignflow", "--output", str(output)])
    assert "AlignFlow" in capsys.readouterr().out
    method = crossdomain.load(output)
    images = reference["images"]["src"].float() / 127.5 - 1
    back = method.translate(method.translate(images, "a2b"), "b2a")
    assert (back - images).abs().max() < 1e-3
    assert method.hparams["flow"]["init_args"] == {"scales": 2, "width": 4, "blocks": 1, "alpha": 0.05}


def test_files_that_are_something_else_are_refused(reference, file, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no checkpoint"):
        import_official(tmp_path / "none.pth", "alignflow")
    with pytest.raises(ValueError, match="Known: alignflow"):
        import_official(file, "alignflw")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="damaged"):
        import_official(tmp_path / "text.pth", "alignflow")
    content = reference["checkpoint"]
    torch.save({**content, "model_name": "CycleFlow"}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="expected AlignFlow's 'Flow2Flow'"):
        import_official(tmp_path / "other.pth", "alignflow")
    content["model_state"].pop("g_tgt.module.flows.in_couplings.0.s_scale")
    torch.save(content, tmp_path / "less.pth")
    with pytest.raises(ValueError, match="scale"):
        import_official(tmp_path / "less.pth", "alignflow")
