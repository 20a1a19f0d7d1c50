"""Recipes: ``<method>.yaml`` is a method's default, ``<method>_<data>.yaml`` a setting of its own.

Many say with ``base:`` what they differ from; ``crossdomain show RECIPE`` prints one whole.
"""
