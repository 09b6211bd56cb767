#!/usr/bin/env bash
# Builds made_sample and made_uniforms: export/c/build.sh [FOLDER]   (export/c/build by default)
# PYTHON chooses the interpreter whose ai-edge-litert is linked, CC the compiler, CFLAGS adds flags.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
output=${1:-$here/build}
python=${PYTHON:-python3}
command -v "${CC:-cc}" >/dev/null || { echo "build.sh: no C compiler (CC)" >&2; exit 1; }

# The folder of the library, and its version as one number: 2.1.6 is 20106.
found=$("$python" -c '
import importlib.metadata, importlib.util, pathlib, re
folder = pathlib.Path(importlib.util.find_spec("ai_edge_litert").origin).parent
version = importlib.metadata.version("ai-edge-litert")
parts = [int(part) for part in re.findall(r"\d+", version)[:3]]
print(sum(part * scale for part, scale in zip(parts, (10000, 100, 1))), folder)
') || { echo "build.sh: $python has no ai-edge-litert: pip install ai-edge-litert" >&2; exit 1; }
version=${found%% *} folder=${found#* }
[ "$version" -ge 20100 ] || { echo "build.sh: ai-edge-litert must be at least 2.1" >&2; exit 1; }
[ -e "$folder/libLiteRt.so" ] || { echo "build.sh: no libLiteRt.so in $folder" >&2; exit 1; }
form=()
[ "$version" -ge 20106 ] || form=(-DMADE_LITERT_BEFORE_2_1_6)

mkdir -p "$output"
flags=(-std=c11 -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
read -r -a more <<<"${CFLAGS:-}"
cd "$here"
"${CC:-cc}" "${flags[@]}" "${more[@]}" -o "$output/made_uniforms" made_uniforms.c
"${CC:-cc}" "${flags[@]}" "${more[@]}" "${form[@]}" -o "$output/made_sample" \
    made_sample.c model.c output.c digest.c "$folder/libLiteRt.so" -Wl,-rpath,"$folder" -lm
echo "$output/made_sample"
