"""Recipes: ``<method>.yaml`` is a method's default, ``<method>_<data>.yaml`` a setting of its own."""
