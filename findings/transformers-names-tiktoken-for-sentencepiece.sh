#!/usr/bin/env bash
# Package: transformers 5.24.0 (with sentencepiece 0.2.3), Python 3.11.
#
# Behaviour: a T5 tokenizer whose folder has a SentencePiece file alone (spiece.model, no tokenizer.json) loads if
# sentencepiece is installed. If it is not, AutoTokenizer takes the file for one of tiktoken's and asks for tiktoken.
#
# Guess that missed: the error names the package that is missing, sentencepiece.
#
# Seen:
#   with sentencepiece: 9 ids
#   without: ValueError: `tiktoken` is required to read a `tiktoken` file. Install it with `pip install tiktoken`.
#
# Why it matters: SigLIP's tokenizers are published in this form too. Who follows the message installs a package that
# cannot read the file, and is no further.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.24.0 sentencepiece==0.2.3
cd "$folder"
mkdir model
venv/bin/python - <<'EOF' 2>/dev/null
import json
import sentencepiece

lines = ["a photo of a red ring and a blue cat", "some other words here"] * 50
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(lines), model_prefix="model/spiece", vocab_size=40, hard_vocab_limit=False
)
for name, value in (("tokenizer_config", {"tokenizer_class": "T5Tokenizer"}), ("config", {"model_type": "t5"})):
    with open(f"model/{name}.json", "w") as file:
        json.dump(value, file)
EOF
cat > load.py <<'EOF'
import sys
from transformers import AutoTokenizer

try:
    ids = AutoTokenizer.from_pretrained("model")("a red ring")["input_ids"]
    print(f"with sentencepiece: {len(ids)} ids")
    assert "without" not in sys.argv
except ValueError as error:
    print(f"without: ValueError: {error}")
    assert "without" in sys.argv and "tiktoken" in str(error) and "sentencepiece" not in str(error)
EOF
venv/bin/python load.py 2>/dev/null
venv/bin/pip uninstall --quiet --yes sentencepiece
venv/bin/python load.py without 2>/dev/null
