"""`python -m rookery`: the same as the `rookery` command."""

from rookery.launch import main

if __name__ == "__main__":
    main()
