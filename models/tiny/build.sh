#!/bin/sh
# The small base model that comes with fabula, made again from the stories.
#
#   models/tiny/build.sh STORIES WORK [MINUTES]
#
# STORIES  folder with fairy_tales.jsonl, fairytaleqa.jsonl and childrens.jsonl: 2,337 tales, 3.6 million words
# WORK     folder for all that is made on the way; the model is WORK/model, ready to be shipped in WORK/tiny
# MINUTES  of training; 75 if not given, on one thread (OMP_NUM_THREADS=1) of a CPU that computes in bfloat16
#
# Stopped with Ctrl-C, the same command goes on. src/fabula/data/tiny is WORK/tiny, copied.
set -eu
here=$(dirname "$0")
stories=$1 work=$2 minutes=${3:-75}
python "$here/stories.py" "$stories" "$work"
fabula clean "$work/tales.jsonl" --out "$work/corpus" --rules none --split 95/5
fabula train "$work/corpus" --init "$here/config.json" --recipe "$here/recipe.toml" --max-minutes "$minutes" --out "$work/model"
python "$here/ship.py" "$work"
