"""A worker's mailbox: order, the bound, and what wakes the worker."""

from __future__ import annotations

import threading

from captions.engine.mailbox import Mailbox

PATIENCE_S = 30.0


class Item:
    pass


class Audio(Item):
    pass


def test_what_was_put_is_taken_once_and_in_order() -> None:
    box: Mailbox[Item] = Mailbox(10, Audio)
    items = [Item(), Audio(), Item()]
    assert [box.put(item) for item in items] == [True] * 3
    assert box.take() == items
    assert box.take() == []


def test_a_full_mailbox_refuses_audio_and_nothing_else() -> None:
    box: Mailbox[Item] = Mailbox(2, Audio)
    assert [box.put(item) for item in (Audio(), Item(), Audio(), Item(), Audio())] == [True, True, False, True, False]
    assert [type(item) for item in box.take()] == [Audio, Item, Item]
    assert box.put(Audio())


def test_of_what_is_put_together_the_audio_for_which_there_is_no_room_comes_back() -> None:
    box: Mailbox[Item] = Mailbox(1, Audio)
    first, second, flush = Audio(), Audio(), Item()
    assert box.put_all([first, second, flush]) == [second]
    assert box.take() == [first, flush]


def test_a_worker_that_waits_is_woken_once_for_all_that_was_put() -> None:
    box: Mailbox[Item] = Mailbox(10, Audio)
    items = [Item(), Item(), Audio()]
    box.put(items[0])
    assert box.put_all(items[1:]) == []
    box.wait()
    assert box.take() == items
    box.wait(timeout_s=0.0)
    assert box.take() == []


def test_closing_ends_a_wait_and_a_rest() -> None:
    box: Mailbox[Item] = Mailbox(10, Audio)
    ended = threading.Event()

    def work() -> None:
        box.wait()
        box.rest(PATIENCE_S * 10)
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    assert not box.is_closed
    box.close()
    assert ended.wait(PATIENCE_S)
    assert box.is_closed
