"""`python -m anima`: the command line."""

from anima.cli import main

if __name__ == "__main__":
    main(prog_name="anima")
