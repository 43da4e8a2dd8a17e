"""Limits of CPUs, as the Docker provider writes them."""


def as_read_back(cpus: float) -> str:
    """The text that the provider reads a running container's limit back as: `0.5`, `2.0`, `10.`.

    Another text for the same number would replace the container at every `up`. The provider prints nine decimals. Where
    nine of the digits are zeros it takes the number for a round one, and prints one decimal; else it cuts zeros off the
    end (nanoInt64ToDecimalString of terraform-provider-docker 4). So 0.05 comes back as `0.1`: see `is_read_back`.
    """
    text = f"{cpus:.9f}"
    if text.count("0") == 9:  # noqa: PLR2004 (of the provider)
        tenths, rest = divmod(round(cpus * 10**9), 10**8)
        tenths += rest >= 5 * 10**7
        return f"{tenths // 10}.{tenths % 10}"
    return text.rstrip("0")


def is_read_back(cpus: float) -> bool:
    """Whether the provider reads a limit back as the number that it is."""
    return float(as_read_back(cpus)) == cpus
