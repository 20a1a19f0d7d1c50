"""What a checkpoint holds, how it is written, read and rebuilt.

A checkpoint is Lightning's, readable with ``weights_only=True``. Two of its entries are ours:

- ``hyper_parameters``: every argument of the method's ``__init__`` as plain values, classes as
  ``{class_path, init_args}``, and the method's own class as ``_class_path``. From these, and nothing else, the method
  is made again.
- ``crossdomain``: ``format``, ``version``, ``method``, the data's ``domains``, ``channels``, ``image_size``,
  ``resize_filter``, ``levels``, ``palette``, ``attributes`` and ``roles``, the counters ``rounds`` and ``images_seen``,
  and for each process the random states and image pools.
"""

from crossdomain.serialization.names import class_path, resolve
from crossdomain.serialization.plain import complete, complete_arguments, parameters, to_plain
from crossdomain.serialization.random_state import kept_randomness, random_state, set_random_state
from crossdomain.serialization.reading import arguments, load, read, read_plain, rebuild
from crossdomain.serialization.transfer import Transfer, take_network, transfer
from crossdomain.serialization.writing import FORMAT, export, header, write, write_plain

INSTANTIATOR = "lightning.pytorch.cli.instantiate_module"
"""By which Lightning makes a module again."""

__all__ = [
    "FORMAT",
    "Transfer",
    "arguments",
    "class_path",
    "complete",
    "complete_arguments",
    "export",
    "header",
    "kept_randomness",
    "load",
    "parameters",
    "random_state",
    "read",
    "read_plain",
    "rebuild",
    "resolve",
    "set_random_state",
    "take_network",
    "to_plain",
    "transfer",
    "write",
    "write_plain",
]
