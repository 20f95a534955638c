"""ministack as a program, with SageMaker let in among the services that may publish events of AWS itself.

ministack keeps sources that begin with ``aws.`` for its own services. Our SageMaker stands beside it and plays one of
them.
"""

import functools

from ministack.app import main
from ministack.services import eventbridge

if __name__ == "__main__":
    publish = eventbridge._put_events  # noqa: SLF001 - no setting does it
    eventbridge._put_events = functools.partial(publish, allow_aws_source=True)  # noqa: SLF001 - likewise
    main()
