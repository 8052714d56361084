"""Asking several servers the same, where some may be away or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def ask_several(
    questions: Iterable[Coroutine[Any, Any, T]], enough: Callable[[list[T]], bool], seconds: float
) -> tuple[list[T], list[BaseException]]:
    """Ask all at once until `enough` is known, all have answered, or the time is over: answers, and failures."""
    answers: list[T] = []
    failures: list[BaseException] = []
    pending = {asyncio.create_task(question) for question in questions}
    deadline = asyncio.get_running_loop().time() + seconds
    try:
        while pending and not enough(answers):
            left = deadline - asyncio.get_running_loop().time()
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                failures.append(TimeoutError("no answer in time"))
                break
            for task in done:
                error = task.exception()
                if error is None:
                    answers.append(task.result())
                else:
                    failures.append(error)
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    return answers, failures
