"""Money: exact decimals in USD; prices are per hour and carry at most six decimals (ruling S3)."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from spotguard.domain.errors import InvalidInput

SECONDS_PER_HOUR = 3600
PRICE_STEP = Decimal("0.000001")
HIGHEST_PRICE = Decimal(1000)  # USD/h; the dearest instance that EC2 lists is below 500
ZERO = Decimal(0)


def parse_price(text: object) -> Decimal:
    """A price per hour from outside: a positive, finite decimal below 1000 USD/h.

    More than six decimals are rounded half-even, since `DECIMAL(12,6)` holds no more. `InvalidInput` otherwise.
    """
    if isinstance(text, bool) or not isinstance(text, str | int | float | Decimal):
        raise InvalidInput("a price is a number or a decimal string")
    try:
        price = Decimal(str(text))
    except InvalidOperation as error:
        raise InvalidInput(f"not a price: {str(text)[:40]!r}") from error
    if not price.is_finite():
        raise InvalidInput(f"not a finite price: {str(text)[:40]!r}")
    if not ZERO < price < HIGHEST_PRICE:
        raise InvalidInput(f"a price must lie between 0 and {HIGHEST_PRICE} USD/h: {str(text)[:40]!r}")
    rounded = price.quantize(PRICE_STEP, rounding=ROUND_HALF_EVEN)
    if rounded <= ZERO:
        raise InvalidInput(f"a price below a millionth of a dollar is no price: {str(text)[:40]!r}")
    return rounded


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def usd_text(amount: Decimal) -> str:
    """A decimal string without exponent, as the API gives money."""
    return f"{amount:f}"
