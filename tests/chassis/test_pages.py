"""The interactive API page works where no other host can be reached."""

from __future__ import annotations

import re

from coterie_chassis.testing import Harness


async def test_all_that_the_page_loads_comes_from_the_service_itself(h: Harness) -> None:
    page = await h.client.get("/docs")
    assert page.status_code == 200
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)|url: ["']([^"']+)""", page.text)
    addresses = [address or url for address, url in loaded]

    assert len(addresses) >= 3
    assert "/openapi.json" in addresses
    assert [one for one in addresses if not one.startswith("/")] == []
    for address in addresses:
        answer = await h.client.get(address)
        assert (address, answer.status_code) == (address, 200)
        assert answer.content


async def test_an_asset_that_is_not_there_is_a_problem_document(h: Harness) -> None:
    answer = await h.client.get("/docs/assets/nothing.js")
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:coterie:problem:not-found"
