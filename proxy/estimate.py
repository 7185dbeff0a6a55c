"""What a call may cost at most: reserved on its budgets before a provider is called.

Of the prompt no tokens are counted: a token of text is at least one byte, so the body's bytes are never too few.
Pictures and sounds inside it are taken for what a provider makes of them at most. Of the answer it is what the caller
allows; where he says nothing, DEFAULT_OUTPUT. What a provider adds by itself (pages found by a search, earlier turns
that it has kept) cannot be known before.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import orjson

from accounts.prices import REQUESTS, UNITS, Book, Usage
from accounts.rates import BATCH, STANDARD
from proxy import settle
from proxy.call import Call
from proxy.errors import ModelUnpriced
from proxy.native import batched
from routing.values import Target

DEFAULT_OUTPUT = 4096  # tokens of an answer whose length the caller leaves open
DEFAULT_OUTPUT_OF = {"anthropic": 20_480}  # by kind: our translation allows as much where the model thinks
MOST_OUTPUT = 1_000_000  # no model says more, whatever is asked
FLOOR_NANO = 10_000_000  # one cent: for what is metered by other units than tokens, or not at all
BATCH_NANO = 1_000_000_000  # a dollar: for a batch whose requests are in a file, which is not read here
SESSION_NANO = 250_000_000  # a quarter of a dollar: what a Realtime session has in hand for its next responses
PICTURE_TOKENS = 50_000  # the most that any provider counts for one
IMAGE_TOKENS = 8192  # of one that is made
SPOKEN_TOKENS = 4  # for each byte of a text that is read aloud
SECOND_BYTES = 1000  # of speech, however well it is compressed
SOUND_BYTES_PER_TOKEN = 8  # of base64; it is far more in truth
SMALL = 16_384  # bytes: bodies up to here are not searched for pictures
PICTURES = ("/9j/", "iVBORw0KGgo", "R0lGOD", "data:image/")
MEDIA = frozenset({"url", "image_url", "data", "file_data", "image"})  # where pictures and sounds stand; text does not
SOUNDS = ("UklGR", "SUQz", "//", "T2dnUw", "ZkxhQ", "data:audio/")
MAX_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_tokens_to_sample")
_ELSEWHERE = re.compile(
    rb'"(?:image_url|file_id|file_?[uU]ri|file_url)"\s*:\s*[{"]|"file_data"\s*:\s*"https:|"type"\s*:\s*"(?:url|file)"'
)  # what a provider fetches by itself
WHY = "a budget that must not be overspent applies to this call"


def _places(*classes: str) -> tuple[int, ...]:
    return tuple(map(UNITS.index, classes))


INPUT, OUTPUT, CACHE_WRITE = _places("input"), _places("output", "reasoning"), _places("cache_write", "cache_write_1h")
IMAGE_IN, IMAGE_OUT = _places("image_input"), _places("image_output")
AUDIO_IN, AUDIO_OUT = _places("audio_input"), _places("audio_output")
SECONDS = UNITS.index("seconds")
LONGEST = 1800  # seconds of a call whose target and provider have no limit of their own, where time has a price
LONGEST_NUMBER = 40  # characters
Rates = tuple[tuple[int, ...], tuple[int, ...], tuple[str, ...]]
Priced = tuple[list[Target], int]


def most(book: Book, call: Call, targets: Sequence[Target], at: float) -> Priced:
    """Return the targets whose price is known, and the most that the call may cost at them, in nano-USD.

    One answer at the dearest of them, and for every other attempt that there may be the prompt once more. Raises
    ModelUnpriced where no target has a price.
    """
    operation = call.passing.operation if call.passing is not None else None
    name = operation.name if operation is not None else call.asked.operation
    if call.free:
        return list(targets), 0
    if operation is not None and not operation.counted:
        return _unmetered(book, call, targets, at)
    body, prompt, rates = call.asked.body, prompt_bound(call), _rates(call)
    answers = 0 if name in {"embeddings", "batch_embeddings"} else _choices(body)
    further = len(targets) - 1 + call.match.route.retries  # attempts that may fail and be billed all the same
    priced, dearest, failed = [], 0, 0
    for target in targets:
        cost = _bound(book, target, rates, prompt, _output(body, target.provider.kind) * answers, at)
        if cost is None:
            continue
        priced.append(target)
        dearest = max(dearest, cost)
        if further:
            failed = max(failed, _bound(book, target, rates, prompt, 0, at) or 0)
    if not priced:
        raise ModelUnpriced(call.asked.model, why=WHY)
    return priced, dearest + failed * further


def _rates(call: Call) -> Rates:
    """Return in which classes the tokens of this call may be counted, and in which service tiers."""
    raw, tier = call.asked.raw, settle.tier_asked(call)
    return *_classes(raw), (STANDARD,) if tier == STANDARD else (STANDARD, tier)


def _classes(raw: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    ins, outs = INPUT, OUTPUT
    if b"cache_control" in raw:
        ins += CACHE_WRITE
    if b"image" in raw:
        ins, outs = ins + IMAGE_IN, outs + IMAGE_OUT
    if b"audio" in raw:
        ins, outs = ins + AUDIO_IN, outs + AUDIO_OUT
    return ins, outs


def _bound(book: Book, target: Target, rates: Rates, prompt: int, output: int, at: float) -> int | None:
    """Return what so many tokens cost at most, in the dearest of the classes; None where there is no price."""
    if _is_free(target):
        return 0
    price = book.find(target.provider.name, target.provider.kind, target.model, at)
    if price is None:
        return None
    ins, outs, services = rates
    own = target.limits.total_timeout if target.limits is not None else None
    seconds = -(-(own or target.provider.total_timeout or LONGEST) // 1) if price.timed else 0
    most = 0
    for service in services:
        for step in price.steps.get(service) or price.steps[STANDARD]:
            if step.above and step.above >= prompt:
                continue  # a prompt of this size does not get there
            if (prompt and INPUT[0] in step.missing) or (output and OUTPUT[0] in step.missing):
                return None
            nano = prompt * max([step.rates[place] for place in ins])
            nano += output * max([step.rates[place] for place in outs])
            nano += int(seconds) * step.rates[SECONDS] + step.rates[REQUESTS]
            most = max(most, -(-nano // step.per))
    return most


def prompt_bound(call: Call) -> int:
    """Return more tokens than any provider counts for the prompt."""
    return _prompt(call.asked.raw, call.asked.body)


def _prompt(raw: bytes, body: dict[str, Any]) -> int:
    fetched = len(_ELSEWHERE.findall(raw)) * PICTURE_TOKENS if b"image" in raw or b"file" in raw else 0
    if len(raw) <= SMALL:
        return len(raw) + fetched
    saved = 0
    for name, text in _strings(body):
        if len(text) > SMALL // 4 and name in MEDIA and text.isascii() and " " not in text:
            saved += len(text) - _media(text)
    return len(raw) - saved + fetched


def _unmetered(book: Book, call: Call, targets: Sequence[Target], at: float) -> Priced:
    """What is not paid by the token we can see: the price of its own units, and not less than FLOOR_NANO."""
    session = call.passing is not None and call.passing.operation.name == "realtime"
    if call.passing is not None and call.passing.method in settle.HARMLESS and not session:
        return list(targets), 0
    named = call.entry.model_asked == call.asked.model
    priced = [each for each in targets if _is_free(each) or not named or _has_price(book, each, at)]
    if not priced:
        raise ModelUnpriced(call.asked.model, why=WHY)
    if all(map(_is_free, priced)):
        return priced, 0
    if session:
        return priced, SESSION_NANO
    if (held := batched.requests(call)) is not None:
        return priced, max(_batch(book, call, priced, held, at), FLOOR_NANO if held else BATCH_NANO)
    units = _own_units(call) if named else []
    return priced, max([FLOOR_NANO, *(_charge(book, target, usage, at) for target in priced for usage in units)])


def _batch(book: Book, call: Call, targets: Sequence[Target], held: list[batched.Request], at: float) -> int:
    """Return the most that these requests cost together, at the dearest target. Raises ModelUnpriced."""
    sums = [0] * len(targets)
    for model, body in held:
        raw = orjson.dumps(body)
        rates, prompt = (*_classes(raw), (BATCH,)), _prompt(raw, body)
        for place, target in enumerate(targets):
            output = _output(body, target.provider.kind) * _choices(body)
            cost = _bound(book, replace(target, model=model), rates, prompt, output, at)
            if cost is None:
                raise ModelUnpriced(model, why=WHY)
            sums[place] += cost
    return max(sums)


def _own_units(call: Call) -> list[Usage]:
    """The units in which such a call may be billed, each with more of them than there will be."""
    size, operation = len(call.asked.raw), call.passing.operation if call.passing is not None else None
    if operation is None or not operation.per_request:
        return [Usage(input=size)]
    if operation.makes == "image_output":
        count = max(1, _whole(call.asked.body.get("n")))
        return [Usage(requests=count), Usage(input=size, image_output=count * IMAGE_TOKENS)]
    if operation.makes == "audio_output":
        return [Usage(requests=1, characters=size), Usage(input=size, audio_output=size * SPOKEN_TOKENS)]
    return [Usage(requests=1), Usage(seconds=size // SECOND_BYTES + 1), Usage(searches=1), Usage(input=size)]


def _has_price(book: Book, target: Target, at: float) -> bool:
    return book.has(target.provider.name, target.provider.kind, target.model, at=at, free=_is_free(target))


def _charge(book: Book, target: Target, usage: Usage, at: float) -> int:
    """Return what these units cost, nothing where their class has no price."""
    provider = target.provider
    return book.charge(provider.name, provider.kind, target.model, usage, at=at, free=_is_free(target)).cost_nano


def _is_free(target: Target) -> bool:
    return target.provider.free or target.provider.kind == "stub"


def _output(body: dict[str, Any], kind: str) -> int:
    """Tokens of one answer: the caller's own limit, in whichever dialect, or the default."""
    said = [_whole(body.get(name)) for name in MAX_NAMES]
    for config in _configs(body):
        said += [_whole(config.get("maxOutputTokens")), _whole(config.get("max_output_tokens"))]
    given = max(said)
    return min(given, MOST_OUTPUT) if given else DEFAULT_OUTPUT_OF.get(kind, DEFAULT_OUTPUT)


def _choices(body: dict[str, Any]) -> int:
    """How many answers are made: choices of each prompt."""
    choices = [1, _whole(body.get("n")), _whole(body.get("best_of"))]
    for config in _configs(body):
        choices += [_whole(config.get("candidateCount")), _whole(config.get("candidate_count"))]
    prompts = body.get("prompt")
    many = len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1
    return max(choices) * many


def _configs(body: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return where Gemini's callers say such things: under either name."""
    found = (body.get(name) for name in ("generationConfig", "generation_config"))
    return (each for each in found if isinstance(each, dict))


def _whole(value: Any) -> int:
    """Return a positive number, rounded up; 0 for anything else. Lax servers also take text for one, so we do."""
    if type(value) is int:
        return max(0, value)
    if type(value) is not float and not (type(value) is str and len(value) < LONGEST_NUMBER):
        return 0
    try:
        return max(0, ceil(float(value)))
    except (ValueError, OverflowError):  # no number, or none that is finite
        return 0


def _media(text: str) -> int:
    """Tokens of a long string: of a picture or a sound in base64 far fewer than its letters."""
    if text.startswith(PICTURES):
        return min(len(text), PICTURE_TOKENS)
    if text.startswith(SOUNDS):
        return len(text) // SOUND_BYTES_PER_TOKEN
    return len(text)


def _strings(value: Any) -> Iterable[tuple[str, str]]:
    """Yield every text with the name under which it stands."""
    left = [("", value)]
    while left:
        name, each = left.pop()
        if isinstance(each, str):
            yield name, each
        elif isinstance(each, dict):
            left.extend(each.items())
        elif isinstance(each, list):
            left.extend((name, one) for one in each)
