"""``python -m crossdomain`` is the ``lightning`` command."""

from crossdomain.cli import main

if __name__ == "__main__":
    main()
