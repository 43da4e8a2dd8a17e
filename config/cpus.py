"""Limits of CPUs, as the Docker provider writes them."""

_ZEROS_OF_A_ROUND_NUMBER = 9
"""As the provider counts them, before and behind the point: 1 is 1.000000000 to it."""


def as_read_back(cpus: float) -> str:
    """The text that the provider reads a running container's limit back as: `0.5`, `2.0`, `10.`.

    Another text for the same number would replace the container at every `up`. The provider prints nine decimals. Where
    nine of the digits are zeros it takes the number for a round one, and prints one decimal; else it cuts zeros off the
    end (nanoInt64ToDecimalString of terraform-provider-docker 4). So 0.05 comes back as `0.1`: see `is_read_back`.
    """
    billionths = round(cpus * 10**9)
    text = f"{billionths // 10**9}.{billionths % 10**9:09}"
    if text.count("0") == _ZEROS_OF_A_ROUND_NUMBER:
        return f"{(billionths + 5 * 10**7) // 10**8 / 10:.1f}"
    return text.rstrip("0")


def is_read_back(cpus: float) -> bool:
    """Whether the provider reads a limit back as the number that it is."""
    return float(as_read_back(cpus)) == cpus
