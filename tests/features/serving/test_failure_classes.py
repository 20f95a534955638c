from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ephemeral_endpoints.features.serving.failure_classes import FailureClass, RetryPolicy, class_of

CAPACITY, QUOTA, PERMISSION, SERVICE, CONFIGURATION, START, MODEL, UNKNOWN = FailureClass


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            (
                "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please "
                "retry using a different ML instance type or after some time."
            ),
            CAPACITY,
        ),
        (
            (
                "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML "
                "instance type."
            ),
            CAPACITY,
        ),
        (
            "We currently do not have sufficient ml.g5.48xlarge capacity in zones with support for gp2 volumes.",
            CAPACITY,
        ),
        (
            (
                "The account-level service limit 'ml.m4.xlarge for endpoint usage' is 0 Instances, with current "
                "utilization of 0 Instances and a request delta of 1 Instances."
            ),
            QUOTA,
        ),
        (
            (
                "The role 'arn:aws:iam::111122223333:role/r' does not have BatchGetImage permission for the image: "
                "'763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:1.15.2-gpu'."
            ),
            PERMISSION,
        ),
        (
            (
                "Please make sure all images included in the model for the production variant v exist, and that the "
                "execution role used to create the model has permissions to access them."
            ),
            PERMISSION,
        ),
        (
            (
                'Failed to download model data for container "container_1" from URL: "s3://b/m.tar.gz". '
                "Please ensure that "
                "there is an object located at the URL and that the role passed to CreateModel has permissions to "
                "download the object."
            ),
            PERMISSION,
        ),
        (
            (
                'Could not access model data at s3://b/m. Please ensure that the role "arn" exists and that its trust '
                'relationship policy allows the action "sts:AssumeRole".'
            ),
            PERMISSION,
        ),
        ("Request to service failed. If failure persists after retry, contact customer support.", SERVICE),
        ("InternalServerError: We encountered an internal error. Please try again.", SERVICE),
        ("Image size 13279248421 is greater than supported size 10737418240", CONFIGURATION),
        ('Unable to extract model data archive for container "container_1" from URL "s3://b/m.tar.gz".', CONFIGURATION),
        (
            (
                "The primary container for production variant AllTraffic did not pass the ping health check. Please "
                "check CloudWatch logs for this endpoint."
            ),
            MODEL,
        ),
        (
            (
                "CannotStartContainerError. Please ensure the model container for variant v starts correctly when "
                "invoked with 'docker run <image> serve'"
            ),
            START,
        ),
        (
            (
                "The deployment was rolled back because these CloudWatch alarms of its AutoRollbackConfiguration are "
                "in ALARM state: errors."
            ),
            MODEL,
        ),
        ("words that nobody has seen before", MODEL),
        ("", UNKNOWN),
    ],
)
def test_what_the_texts_of_the_public_record_mean(reason: str, kind: FailureClass) -> None:
    assert class_of(reason) is kind


def test_capacity_is_retried_for_ever_at_intervals_that_grow_to_ten_minutes() -> None:
    policy = RetryPolicy(most=2, first=timedelta(seconds=30), longest=timedelta(minutes=15))
    pauses = [policy.pause(failures, CAPACITY, of="e") for failures in range(1, 500)]
    assert all(pause is not None and pause <= timedelta(minutes=10) for pause in pauses)
    assert pauses[0] is not None
    assert pauses[0] >= timedelta(seconds=24), "a fifth is jitter"
    assert all(pause is not None and pause >= timedelta(minutes=8) for pause in pauses[5:])


def test_endpoints_that_wait_for_the_same_do_not_ask_at_the_same_moment() -> None:
    pauses = {RetryPolicy().pause(9, CAPACITY, of=f"endpoint-{number}") for number in range(50)}
    assert len(pauses) == 50


@given(kind=st.sampled_from(FailureClass), failures=st.integers(1, 10**6), most=st.integers(1, 20))
def test_only_what_heals_is_retried_beyond_the_attempts(kind: FailureClass, failures: int, most: int) -> None:
    pause = RetryPolicy(most=most).pause(failures, kind)
    assert (pause is None) == (not kind.heals and failures >= most)
