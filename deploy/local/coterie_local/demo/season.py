"""The play itself, chapter by chapter; each one leaves something that the report shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from coterie_local.demo import mishap
from coterie_local.demo.cast import COMMENTS, SUGGESTIONS, names
from coterie_local.demo.stage import MANAGER, Person, Stage, subject_in
from coterie_local.importers.client import (
    FEEDBACK,
    MEMBERSHIP,
    NOTIFICATIONS,
    RECOGNITION,
    SERVICES,
    created_id,
)
from coterie_local.importers.transport import Refused, Send
from coterie_local.platform import Platform
from coterie_replay.brokers.processes import LocalFault

__all__ = ["LEAST_PEOPLE", "Season"]

LEAST_PEOPLE: Final = 16
_BUTTONS: Final = ("outstanding", "helpful", "helpful", "not_for_me")
_NEWS: Final = (0, 2, 4)
AGREED: Final = [{"document": "house-rules", "version": "1"}]


class Season:
    """One community from its founding to the end of its first quarter."""

    def __init__(self, stage: Stage, platform: Platform, people: int) -> None:
        self.stage = stage
        self.platform = platform
        self.people = {name: Person(name, subject_in(name, stage.take)) for name in names(people)}
        self.capacity = people - 4
        self.suggestions: dict[str, UUID] = {}
        self.contributions: list[tuple[Person, UUID]] = []
        self.invitation: dict[str, Any] = {}
        self.redriven = 0
        self.brief: dict[str, Any] = {}
        self._next_news = 24

    @property
    def chapters(self) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        """What happens, in order, with a title each."""
        return (
            ("A circle is founded", self.found),
            ("People apply, are judged, come in or wait", self.apply),
            ("A defect is planted, mended, and what it held back redriven", self.mishap),
            ("They say what they want, and support each other", self.suggest),
            ("They rate what helped", self.rate),
            ("The team answers", self.answer),
            ("Some is built, and they look again", self.build),
            ("Money runs out, comes back, and rewards are given", self.reward),
            ("Seats change hands, and news comes in measure", self.move_seats),
            ("Offers meet the guard", self.offers),
            ("The season ends", self.end),
        )

    def members(self) -> list[Person]:
        return [person for person in self.people.values() if person.member_id is not None]

    def by(self, position: int) -> Person:
        return self.members()[position]

    async def found(self) -> None:
        stage = self.stage
        created = await stage.staff(
            MEMBERSHIP,
            "POST",
            "/communities",
            name="Glow Circle",
            purpose="Make the serum that people finish",
            audience="Customers who bought it again and again",
            member_promise="You see what became of every suggestion",
            time_zone="Europe/Berlin",
            objective="A serum that people finish",
            capacity=self.capacity,
            clock="driven",
        )
        stage.community_id = UUID(created.body["community_id"])
        opened = await stage.staff(MEMBERSHIP, "POST", f"{self._home}/open")
        for service in SERVICES[1:]:
            path = f"{self._home}/todo"
            send = Send(caller=MANAGER, after=opened.position)
            await stage.transport.query(service, path, send)
        await self._stock()

    async def apply(self) -> None:
        stage, people = self.stage, list(self.people.values())
        stage.day(0, 10)
        answer = await stage.staff(MEMBERSHIP, "POST", f"{self._home}/invitations", max_uses=1)
        self.invitation = answer.body
        for number, person in enumerate(people):
            if number and number % 4 == 0:
                stage.day(number // 4, 10)
            body: dict[str, Any] = {"agreements": AGREED}
            if number == 0:
                body["invitation_token"] = self.invitation["token"]
                body["email"] = f"{person.name}@example.org"
            answer = await stage.do(
                person, MEMBERSHIP, "POST", f"{self._home}/applications", **body
            )
            person.application_id = created_id(answer)
            if number == 0:
                self._seated(person, answer.body)
        for person in people[1:-1]:
            path = f"/applications/{person.application_id}/approve"
            self._seated(person, (await stage.staff(MEMBERSHIP, "POST", path)).body)
        path = f"/applications/{people[-1].application_id}/decline"
        await stage.staff(MEMBERSHIP, "POST", path, reason="We look for people who bought twice.")

    async def mishap(self) -> None:
        """A trigger makes recognition fail for one member; redrive applies what it missed."""
        person = self.by(1)
        self.stage.day(4, 12)
        path = f"/members/{person.member_id}/suspend"
        async with mishap.planted(self.platform, RECOGNITION, person.member):
            await self.stage.staff(MEMBERSHIP, "POST", path)
            answer = await self.stage.staff(
                MEMBERSHIP, "POST", f"/members/{person.member_id}/reinstate"
            )
            letter = await mishap.dead_letter(self.platform, RECOGNITION, person.member, behind=1)
        self.redriven = mishap.redrive(self.platform, RECOGNITION, letter)
        person.position = answer.position

    async def suggest(self) -> None:
        stage = self.stage
        stage.day(5, 9)
        authors = self.members()
        for number, (text, label) in enumerate(SUGGESTIONS):
            author = authors[number % len(authors)]
            answer = await stage.do(
                author,
                FEEDBACK,
                "POST",
                "/feedback",
                community_id=str(stage.community_id),
                text=text,
            )
            self.suggestions[label] = created_id(answer)
            self.contributions.append((author, created_id(answer)))
        for number, person in enumerate(authors):
            target = list(self.suggestions.values())[number % 5]
            text = COMMENTS[number % len(COMMENTS)]
            path = f"/feedback/{target}/comments"
            answer = await stage.do(person, FEEDBACK, "POST", path, text=text)
            self.contributions.append((person, created_id(answer)))
        for label in ("Pump that does not drip", "Refills for the serum", "Travel size"):
            for person in stage.choice.sample(authors, 6):
                await self._support(person, self.suggestions[label])

    async def rate(self) -> None:
        stage = self.stage
        stage.day(6, 9)
        for author, contribution in self.contributions:
            others = [person for person in self.members() if person is not author]
            for rater in stage.choice.sample(others, 4):
                path = f"/contributions/{contribution}/rating"
                value = stage.choice.choice(_BUTTONS)
                await stage.do(rater, FEEDBACK, "PUT", path, value=value)
        _, first = self.contributions[0]
        await stage.staff(FEEDBACK, "POST", f"/contributions/{first}/appreciate")

    async def answer(self) -> None:
        stage = self.stage
        stage.day(7, 10)
        for label, feedback_id in list(self.suggestions.items())[:7]:
            path = f"/feedback/{feedback_id}"
            await stage.staff(FEEDBACK, "POST", f"{path}/accept", label=label)
            await stage.staff(FEEDBACK, "POST", f"{path}/plan")
        first = self.suggestions["Pump that does not drip"]
        path = f"/feedback/{self.suggestions['Leaking pump']}/merge"
        await stage.staff(FEEDBACK, "POST", path, root_id=str(first))
        path = f"/feedback/{self.suggestions['Pink bottle']}/decline"
        await stage.staff(FEEDBACK, "POST", path, reason="Colour does not help anybody finish it.")
        nothing = self.suggestions["Nothing"]
        author = next(person for person, id_ in self.contributions if id_ == nothing)
        await self._seen_by(RECOGNITION, f"{nothing};1")
        await stage.do(author, FEEDBACK, "POST", f"/feedback/{nothing}/withdraw")
        path = f"/feedback/{first}/comments"
        await stage.staff(FEEDBACK, "POST", path, text="Thank you; we look into the pump.")

    async def build(self) -> None:
        labels, built = list(self.suggestions)[:6], {}
        for number, label in enumerate(labels):
            self.stage.day(9 + number, 10)
            built[label] = await self._implement(
                label, "the way you asked for it.", "in your next order"
            )
        self.stage.day(16, 10)
        for number, label in enumerate(labels[:5]):
            reopened = number == 4
            await self._look_again(label, built[label], satisfied=not reopened)
        again = labels[4]
        self.stage.day(18, 10)
        path = f"/feedback/{self.suggestions[again]}"
        await self.stage.staff(FEEDBACK, "POST", f"{path}/plan")
        position = await self._implement(
            again, "this time with what was missing.", "in your next order"
        )
        self.stage.day(20, 10)
        await self._look_again(again, position, satisfied=True)

    async def reward(self) -> None:
        stage = self.stage
        stage.day(21, 9)
        await stage.push_clock()
        rewards = f"{self._home}/rewards"

        async def seen() -> list[dict[str, Any]]:
            page = await stage.see(RECOGNITION, rewards, limit=100)
            return list(page["items"])

        held = await stage.until(
            "a reward that waits for money",
            seen,
            lambda items: any(item["held_for"] == "budget" for item in items),
        )
        await self._brief_when(lambda seen: seen["confirmed_count"] >= 5)
        sessions = [r for r in held if r["item_kind"] == "session" and r["status"] == "proposed"]
        if len(sessions) < 2:
            raise LocalFault("the play expects two phone sessions that wait for a decision")
        stage.day(21, 10)
        await stage.staff(RECOGNITION, "POST", f"/rewards/{sessions[-1]['reward_id']}/approve")
        await stage.staff(RECOGNITION, "POST", f"/rewards/{sessions[-2]['reward_id']}/reject")
        path = f"/budgets/{stage.ids['budget']}/fund"
        await stage.staff(RECOGNITION, "POST", path, amount_minor=2_000)
        paid = await stage.until(
            "the reward that waited to be paid",
            seen,
            lambda items: not any(item["held_for"] == "budget" for item in items),
        )
        card = next(r for r in paid if r["item_kind"] == "gift_code" and r["status"] == "issued")
        owner = next(p for p in self.members() if str(p.member_id) == card["member_id"])
        await stage.do(owner, RECOGNITION, "POST", f"/rewards/{card['reward_id']}/reveal")

    async def move_seats(self) -> None:
        """One leaves and the next in line takes the seat; another offer lapses."""
        stage = self.stage
        first, second = self.members()[-1], self.members()[-2]
        await self._news_until(35)
        stage.day(36, 14)
        await self._leave(first)
        newcomer = await self._offered()
        await self._accept(newcomer)
        await self._news_until(39)
        stage.day(40, 14)
        await self._leave(second)
        passed = await self._offered()
        await self._news_until(44)
        stage.day(44, 15)
        await stage.push_clock()
        last = await self._offered()
        if last is passed:
            raise LocalFault("the play expects a lapsed offer to go to the next in line")
        stage.day(45, 14)
        await self._accept(last)

    async def offers(self) -> None:
        """Each of the guard's reasons against an offer is met once at least."""
        stage = self.stage
        quiet, suspended, sad, grumpy = self.by(2), self.by(3), self.by(8), self.by(7)
        await self._news_until(46)
        stage.day(47, 9)
        path = f"/members/{quiet.member_id}/preferences"
        await stage.do(quiet, NOTIFICATIONS, "PUT", path, unsubscribed=["offer/inbox"])
        path = f"/members/{suspended.member_id}/suspend"
        suspension = await stage.staff(MEMBERSHIP, "POST", path)
        await self._implement("Smaller box", "it is half the size.", "in your next order")
        waiting = await self._asked_about("Smaller box")
        declined = await self._decline_one_of(sad)
        for position in (suspension.position, waiting, declined):
            await self._seen_by(NOTIFICATIONS, position)
        stage.day(47, 15)
        await self._offer("A first look at the night cream")
        await self._mark_not_useful(grumpy)
        stage.day(48, 10)
        await self._answer_look_agains("Smaller box", satisfied=True)
        stage.day(49, 9)
        await stage.push_clock()
        self.brief = await self._brief_when(lambda seen: seen["confirmed"] and seen["withheld"])
        stage.day(50, 15)
        await self._offer("The night cream, still")
        await self._news_until(57)
        stage.day(58, 15)
        await self._offer("A set of three")
        await self._news_until(65)
        stage.day(66, 15)
        await self._offer("The last of the set")

    async def end(self) -> None:
        self.stage.day(87, 12)
        await self.stage.push_clock()

    async def _brief_when(self, knows: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The manager's brief of now, once what it is told of has arrived."""
        seen: dict[str, Any] = await self.stage.until(
            "the brief to know what happened",
            lambda: self.stage.see(NOTIFICATIONS, f"{self._home}/brief"),
            lambda brief: (
                knows(brief)
                and brief["held_rewards"] >= 1
                and datetime.fromisoformat(brief["at"]) >= self.stage.now
            ),
        )
        return seen

    async def _stock(self) -> None:
        """Money for three coffee cards, five codes, a host for phone sessions."""
        stage = self.stage
        policies = await stage.until(
            "the templates of recognition",
            lambda: stage.see(RECOGNITION, f"{self._home}/policies"),
            lambda found: len(found) >= 5,
        )
        items = {i["name"]: i for i in await stage.see(RECOGNITION, f"{self._home}/catalogue")}
        budget = await stage.staff(
            RECOGNITION,
            "POST",
            "/budgets",
            community_id=str(stage.community_id),
            name="Thank-you money",
            currency="EUR",
        )
        stage.ids["budget"] = UUID(budget.body["budget_id"])
        path = f"/pools/{items['Coffee card']['item']['pool_id']}/codes"
        codes = [f"COFFEE-{stage.run}-{number:04}" for number in range(1, 6)]
        await stage.staff(RECOGNITION, "POST", path, codes=codes)
        path = f"/budgets/{stage.ids['budget']}/fund"
        await stage.staff(RECOGNITION, "POST", path, amount_minor=1_500)
        session = items["Phone session"]
        terms = {
            "kind": "session",
            "minutes": 15,
            "host": "Hana",
            "booking_url": "https://example.org/book",
        }
        await stage.staff(
            RECOGNITION,
            "PUT",
            f"/catalogue/{session['item_id']}",
            name="Phone session",
            item=terms,
        )
        policy = next(p for p in policies if p["item_id"] == session["item_id"])
        changed = {
            name: policy[name]
            for name in ("name", "when", "beneficiary", "item_id", "also_unconfirmed")
        }
        await stage.staff(
            RECOGNITION,
            "PUT",
            f"/policies/{policy['policy_id']}",
            **changed,
            cooldown_days=0,
            auto_approve_up_to=None,
            active=True,
        )

    async def _implement(self, label: str, what_changed: str, see_it_at: str) -> str:
        """Staff say that it was built; returns the position of that."""
        path = f"/feedback/{self.suggestions[label]}/implement"
        answer = await self.stage.staff(
            FEEDBACK, "POST", path, what_changed=what_changed, see_it_at=see_it_at
        )
        await self._seen_by(RECOGNITION, answer.position)
        return str(answer.position)

    async def _look_again(self, label: str, built: str, *, satisfied: bool) -> None:
        """Everybody answers; the verdict is the next that happens to what was `built`.

        Money is given in the order in which recognition hears of verdicts, so that order is the
        play's.
        """
        await self._answer_look_agains(label, satisfied=satisfied)
        suggestion, _, sequence = built.partition(";")
        await self._seen_by(RECOGNITION, f"{suggestion};{int(sequence) + 1}")

    async def _answer_look_agains(self, label: str, *, satisfied: bool) -> None:
        feedback_id = str(self.suggestions[label])
        for person in self.members():
            for asked in await self._asked(person):
                if asked["feedback_id"] == feedback_id:
                    path = f"/look-agains/{asked['look_again_id']}/answer"
                    await self.stage.do(person, FEEDBACK, "POST", path, satisfied=satisfied)

    async def _asked(self, person: Person) -> list[dict[str, Any]]:
        found = await self.stage.look(person, FEEDBACK, f"{self._home}/look-agains")
        return list(found["items"] if isinstance(found, dict) else found)

    async def _asked_about(self, label: str) -> str:
        """The position of the first look-again at a suggestion."""
        for person in self.members():
            for asked in await self._asked(person):
                if asked["feedback_id"] == str(self.suggestions[label]):
                    return f"{asked['look_again_id']};1"
        raise LocalFault(f"the play expects somebody to be asked about {label}")

    async def _support(self, person: Person, feedback_id: UUID) -> None:
        importance = self.stage.choice.randint(1, 3)
        path = f"/feedback/{feedback_id}/support"
        try:
            await self.stage.do(person, FEEDBACK, "PUT", path, importance=importance)
        except Refused as refused:
            if refused.rule != "own-contribution":
                raise

    async def _leave(self, person: Person) -> None:
        await self.stage.do(person, MEMBERSHIP, "POST", f"/members/{person.member_id}/leave")
        person.member_id = None

    async def _offered(self) -> Person:
        for person in self.people.values():
            if person.application_id is None or person.member_id is not None:
                continue
            seen = await self.stage.see(MEMBERSHIP, f"/applications/{person.application_id}")
            if seen["status"] == "offered":
                return person
        raise LocalFault("the play expects somebody to be offered a seat")

    async def _accept(self, person: Person) -> None:
        path = f"/applications/{person.application_id}/accept-seat"
        self._seated(person, (await self.stage.do(person, MEMBERSHIP, "POST", path)).body)
        await self._seen_by(NOTIFICATIONS, person.position)

    async def _news_until(self, day: int) -> None:
        """News on Mondays, Wednesdays and Fridays, which is as often as the guard allows."""
        while self._next_news <= day:
            if self._next_news % 7 in _NEWS:
                self.stage.day(self._next_news, 11)
                await self.stage.staff(
                    NOTIFICATIONS,
                    "POST",
                    f"{self._home}/news",
                    title=f"Week {self._next_news // 7 + 1}: what we are working on",
                    text="A short look behind the scenes.",
                )
            self._next_news += 1

    async def _offer(self, title: str) -> None:
        await self.stage.staff(
            NOTIFICATIONS,
            "POST",
            f"{self._home}/offers",
            title=title,
            member_benefit="Members pay a fifth less",
        )

    async def _mark_not_useful(self, person: Person) -> None:
        inbox = await self.stage.look(person, NOTIFICATIONS, f"{self._home}/inbox", limit=100)
        notice = next(n for n in inbox["items"] if n["notification_class"] == "offer")
        path = f"/notifications/{notice['id']}/mark"
        await self.stage.do(person, NOTIFICATIONS, "POST", path, mark="not_useful")

    async def _decline_one_of(self, person: Person) -> str | None:
        answer = await self.stage.do(
            person,
            FEEDBACK,
            "POST",
            "/feedback",
            community_id=str(self.stage.community_id),
            text="A jingle when it opens.",
        )
        path = f"/feedback/{created_id(answer)}/decline"
        declined = await self.stage.staff(FEEDBACK, "POST", path, reason="Nobody would finish it.")
        return declined.position

    async def _seen_by(self, service: str, position: str | None) -> None:
        """What a service decides is decided on what it knows; wait until it knows this."""
        send = Send(caller=MANAGER, after=position)
        await self.stage.transport.query(service, f"{self._home}/todo", send)

    def _seated(self, person: Person, application: dict[str, Any]) -> None:
        if application["member_id"] is not None:
            person.member_id = person.known_as = UUID(application["member_id"])
            person.position = application["member_position"]

    @property
    def _home(self) -> str:
        return f"/communities/{self.stage.community_id}"
