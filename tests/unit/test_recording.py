"""What a recording keeps."""

import threading

from pipeline.engine.recording import keep, keeping


def test_what_is_kept_belongs_to_the_recording_of_its_thread():
    keep("before")
    with keeping() as outer:
        keep(1)
        other = threading.Thread(target=keep, args=("of another thread",))
        other.start()
        other.join()
        with keeping() as inner:
            keep(2)
        keep(3)
    keep("after")
    assert (outer, inner) == ([1, 3], [2])
