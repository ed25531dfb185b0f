"""Where frames wait."""

import threading

from dcfm_ros.stream.inbox import Inbox


def test_a_full_inbox_drops_the_oldest():
    inbox = Inbox(2)
    assert [inbox.put(value) for value in "abcd"] == [None, None, "a", "b"]
    assert len(inbox) == 2
    assert [inbox.take(), inbox.take()] == ["c", "d"]


def test_a_closed_inbox_wakes_who_waits_and_forgets_the_rest():
    inbox, taken = Inbox(3), []
    waiting = threading.Thread(target=lambda: taken.append(inbox.take()))
    waiting.start()
    assert inbox.close() == 0
    waiting.join(10)
    assert taken == [None]
    other = Inbox(3)
    other.put("a")
    assert not other.closed
    assert other.close() == 1 and other.closed
    assert other.take() is None
