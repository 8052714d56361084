"""A session's tokens are refreshed before they expire: once, whoever asks, and never to the user's harm."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rigs.sign_on import Stage, stage

from gateway.sso.keeper import LOOK


async def test_tokens_are_refreshed_shortly_before_they_expire(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        web.clock.now += 200
        assert (await browser.get("/web/page")).status_code == 200
        assert web.asked.count("token") == 1
        web.clock.now += 75  # 25 seconds are left of 300
        assert (await browser.get("/web/page")).status_code == 200
        assert web.asked.count("token") == 2
        for _ in range(4):
            web.clock.now += 250
            assert (await browser.get("/web/page")).status_code == 200
    assert web.people.spent == 0


async def test_two_tabs_never_spend_one_refresh_token(tmp_path: Path) -> None:
    """Nor do two workers, which know nothing of each other."""
    async with stage(tmp_path) as web, web.beside() as second, web.browser() as browser:
        await browser.sign_in()
        web.clock.now += 280
        cookie = {"cookie": f"plangate={browser.session}"}
        urls = [f"{origin}/web/{n}" for n in range(20) for origin in (web.origin, second.origin)]
        answers = await asyncio.gather(*(browser.http.get(url, headers=cookie) for url in urls))
        assert {answer.status_code for answer in answers} == {200}
        assert web.asked.count("token") == 2
    assert web.people.spent == 0


async def test_a_session_that_ended_at_the_provider_is_over_when_its_tokens_are(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        web.people.visits.clear()
        assert (await browser.get("/web/page")).status_code == 200
        web.clock.now += 290
        answer = await browser.get("/web/data", {})
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")
        assert (await browser.get("/web/page")).status_code == 302


async def test_a_provider_that_is_away_signs_nobody_out(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        web.asked.append("away")
        web.clock.now += 280  # it is time, but the tokens are good yet
        assert (await browser.get("/web/page")).status_code == 200
        web.clock.now += 30  # and now they are not
        answer = await browser.get("/web/page")
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_away")
        assert "retry-after" in answer.headers
        web.asked.remove("away")
        web.clock.now += 2
        assert (await browser.get("/web/page")).status_code == 200


async def test_a_store_that_is_away_signs_nobody_out(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        assert (await browser.get("/web/page")).status_code == 200
        web.shared.records.away = True
        assert (await browser.get("/web/page")).status_code == 200  # it is known
        web.clock.now += LOOK + 1
        answer = await browser.get("/web/page")
        assert (answer.status_code, answer.json()["code"]) == (503, "sessions_unavailable")
        web.shared.records.away = False
        assert (await browser.get("/web/page")).status_code == 200


async def test_a_store_that_stumbles_after_a_token_was_spent_loses_nothing(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        swap, failures = web.shared.records.swap, []

        async def stumbling(*args: object) -> bool:
            from gateway.store import StoreAway

            if args[2] != args[3] and len(failures) < 3:
                failures.append(1)
                raise StoreAway("no answer in time")
            return await swap(*args)

        web.shared.records.swap = stumbling
        web.clock.now += 280
        assert (await browser.get("/web/page")).status_code == 200
        assert len(failures) == 3
        web.clock.now += 280
        assert (await browser.get("/web/page")).status_code == 200
    assert web.people.spent == 0


async def test_another_persons_tokens_end_the_session(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        visit.person = web.people.people["bob"]
        web.clock.now += 280
        assert (await browser.get("/web/page")).status_code == 302


@pytest.mark.parametrize(("idle", "life"), [(1801, False), (8 * 3600 + 1, True)])
async def test_a_session_ends_by_itself(idle: int, life: bool, tmp_path: Path) -> None:
    async with stage(tmp_path, lifespan=10 * 3600) as web, web.browser() as browser:
        await browser.sign_in()
        if life:
            for _ in range(17):
                web.clock.now += 1700
                assert (await browser.get("/web/page")).status_code == 302 if web.clock.now > 1_800_028_800 else 200
        web.clock.now += idle if not life else 0
        assert (await browser.get("/web/page")).status_code == 302


async def test_use_puts_the_idle_end_off(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        for _ in range(4):
            web.clock.now += 1700
            assert (await browser.get("/web/page")).status_code == 200


async def test_what_the_store_holds_tells_nobody_a_token(web: Stage) -> None:
    async with web.browser() as browser:
        await browser.sign_in()
        (visit,) = web.people.visits.values()
        kept = str(web.shared.records.__dict__)
        assert browser.session not in kept
        assert visit.refresh["gateway-web"] not in kept
        assert "Liddell" not in kept
