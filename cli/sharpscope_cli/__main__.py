"""``python -m sharpscope_cli``."""

from sharpscope_cli.main import cli

if __name__ == "__main__":
    cli()
