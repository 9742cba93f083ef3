"""What stores refuse, told in one sentence: what was found, and what to do.

Python's clients and Java's name the same refusal in words of their own; one table knows both.
"""

from __future__ import annotations

import os
import re

from contract.errors import fault

REFUSALS = (
    (
        r"bucket does not exist|NoSuchBucket|UnknownStoreException|Bucket \S+ does not exist"
        r"|(?:container|filesystem) does not exist|ContainerNotFound|FilesystemNotFound",
        "no such bucket",
        "the name of one that exists: correct it, or make the bucket",
    ),
    (
        r"Unable to locate credentials|NoCredentials|NoAuthWithAWSException|NoAwsCredentials"
        r"|No AWS Credentials|Unable to load (?:AWS )?credentials"
        r"|default credentials were not found|Anonymous caller|GSS initiate failed|AnonymousCredentials"
        r"|TOKEN, KERBEROS",
        "no credentials",
        "some where the store's own tools look: the environment, their files (kinit, aws, gcloud) or the "
        "machine's role",
    ),
    (
        r"(?i:expired ?token|token\S* (?:\w+ ){0,3}expired|expired or revoked|RequestExpired|RefreshError)",
        "credentials that have expired",
        "new ones: sign in again, or run under a role that renews them",
    ),
    (
        r"SignatureDoesNotMatch|signature we calculated|InvalidAccessKeyId"
        r"|[Aa]ccess [Kk]ey I[Dd] you provided|InvalidToken|security token included"
        r"|invalid_grant|Invalid Credentials|InvalidClientTokenId"
        r"|AuthenticationFailed|status code 401|Status Code: 401|\b401 Unauthorized",
        "credentials that the store does not know",
        "valid ones where the store's own tools look: the environment, their files or the machine's role",
    ),
    (
        r"safe ?mode|SafeMode",
        "a NameNode in safe mode, which takes no changes",
        "its end (hdfs dfsadmin -safemode wait), then the same command again",
    ),
    (
        r"quota .{0,80}is exceeded|QuotaExceeded|quotaExceeded",
        "a full quota",
        "room under it (hdfs dfs -count -q), a larger quota, or another folder",
    ),
    (
        r"Permission denied|[Aa]ccess ?[Dd]enied|Forbidden|AccessControlException|AuthorizationPermission"
        r"|does not have storage\.|Status Code: 403",
        "no permission",
        "the right to read there, for `out` also to write and remove",
    ),
    (
        r"No FileSystem for scheme|Class \S*FileSystem\S* not found|ClassNotFoundException: \S*FileSystem",
        "a Spark without the connector of this store",
        "its jar in spark.jars (with submit_etl.sh: --jars), and for an own Spark in spark.conf's "
        "spark.driver.extraClassPath",
    ),
    (
        r"no answer from|Connection ?[Rr]efused|ConnectException|Could not connect|Cannot connect"
        r"|UnknownHost|NoRouteToHost|No route to host|EndpointConnectionError|[Tt]imed out"
        r"|Name or service not known|name resolution",
        "no answer",
        "a service that runs at its address: start it, or correct the address",
    ),
)
"""Pattern in the words of a client, what it means, and what to do."""
SECRETS = re.compile(r"SECRET|TOKEN|PASSWORD|PASSWD|ACCESS_KEY|ACCOUNT_KEY|SAS|CREDENTIAL")
"""Names of variables of the environment whose values no text of ours may hold."""
MOST_WORDS = 200


def refusal(place: str, words: str) -> str:
    """A sentence for the user on what a store refused.

    Parameters
    ----------
    place
        The path or URL.
    words
        What the store's client said.
    """
    words = " ".join(words.split())
    found, wanted = meaning(words) or ("a refusal", "a store that answers and lets you in")
    shown = without_secrets(words)[:MOST_WORDS]
    return fault(place, "store", found=f"{found} ({shown})" if shown else found, wanted=wanted)


def meaning(words: str) -> tuple[str, str] | None:
    """What a client's words mean, and what to do; None where they are not known."""
    return next(((found, wanted) for pattern, found, wanted in REFUSALS if re.search(pattern, words)), None)


KEY_IN_URL = re.compile(
    # user:key@host, where a key may hold slashes; host:8020/path@x is none
    r"://[^\s/@:]+:(?!\d+(?:/|$))[^\s@]+@"
    r"|[?&](?:sig|signature|x-amz-signature|x-amz-security-token|x-goog-signature|token)=[^&]",
    re.IGNORECASE,
)
ELSEWHERE = "credentials where the store's own tools look: the environment, their files or the machine's role"


def holds_key(url: str) -> bool:
    """Whether a URL holds a password or key, or a signature that stands for one."""
    return KEY_IN_URL.search(url) is not None


def without_secrets(words: str) -> str:
    """The words without values of secret variables, and without queries of URLs, which may sign them."""
    for name, value in os.environ.items():
        if SECRETS.search(name) and len(value) >= 6:
            words = words.replace(value, "***")
    return re.sub(r"(://\S*?)\?\S+", r"\1", words)
