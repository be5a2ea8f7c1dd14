"""`riverrun up` as a library: the processes of one system, started, watched and stopped.

    with System(settings, on_event=print) as system:
        system.wait_ready()
        …

Knows how processes start and end, not what they do. Called by the command line, the demo and
the tests.
"""

from riverrun.supervisor.child import ProcessView
from riverrun.supervisor.events import Event, EventKind
from riverrun.supervisor.programs import Program, programs_of
from riverrun.supervisor.system import System

__all__ = ["Event", "EventKind", "ProcessView", "Program", "System", "programs_of"]
