"""Pretrained weights, and ``index.yaml``, which says where each comes from."""
