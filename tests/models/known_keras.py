"""Writes efsprov/models/formats/known_keras.txt from one or several Kerases that lie in folders.

usage: python -I -S tests/models/known_keras.py SITE... > efsprov/models/formats/known_keras.txt
"""

import ast
import re
import sys
from pathlib import Path

# The modules whose classes and functions a model is built of, and that only compute. Not among them are utils, saving,
# models' loaders, config, callbacks, datasets, export and whatever else reads, writes, downloads or switches.
MODULES = (
    *("activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "mixed_precision"),
    *("models", "ops", "optimizers", "optimizers/schedules", "quantizers", "random", "regularizers", "."),
)
# What carries code or another framework's model, and what turns a name or a text into an object.
OUTSIDE = re.compile(
    r"Lambda|TFSM|Torch|Jax|Flax|^(get|serialize|deserialize|clone_model|load_.*|save_.*|.*_from_(json|yaml|config)|set_.*"
    r"|custom_gradient|map|scan|vectorized_map|fori_loop|while_loop|cond|switch|associative_scan|version|name_scope)$"
)


def exported(module):
    """Return the names that a package's __init__ imports from Keras's own modules, without the packages among them."""
    if not module.exists():
        return set()
    imports = [node for node in ast.parse(module.read_text()).body if isinstance(node, ast.ImportFrom)]
    packages = {path.name for path in module.parent.iterdir() if path.is_dir()}
    return {alias.asname or alias.name for node in imports for alias in node.names} - packages


def known(site):
    """Return what a Keras has that a model may be built of."""
    names = {name for module in MODULES for name in exported(Path(site, "keras", module, "__init__.py"))}
    return {name for name in names if not name.startswith("_") and not OUTSIDE.search(name)}


def version(site):
    """Return a Keras's version, as its metadata's folder says."""
    return next(Path(site).glob("keras-*.dist-info")).name.removeprefix("keras-").removesuffix(".dist-info")


def main():
    """Print the file."""
    sites = sys.argv[1:]
    print("# What a Keras model is built of, and what only computes: classes, and functions that a config may name.")
    print(
        f"# From Keras {' and '.join(map(version, sites))} by tests/models/known_keras.py, which says what was left out."
    )
    print("\n".join(sorted({name for site in sites for name in known(site)} | {"Functional"})))


if __name__ == "__main__":
    main()
