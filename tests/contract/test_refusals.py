import pytest

from contract.refusals import meaning, refusal, without_secrets

SEEN = {
    "no such bucket": [
        "The specified bucket does not exist",
        "org.apache.hadoop.fs.s3a.UnknownStoreException: `s3a://absent/': Bucket does not exist",
    ],
    "no credentials": [
        "Unable to locate credentials",
        "No AWS Credentials provided by TemporaryAWSCredentialsProvider",
        "Your default credentials were not found. To set up Application Default Credentials, see",
        "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]",
    ],
    "credentials that have expired": [
        "An error occurred (ExpiredToken) when calling the PutObject operation",
        "The provided token has expired.",
        "google.auth.exceptions.RefreshError: Token has been expired or revoked.",
    ],
    "credentials that the store does not know": [
        "The request signature we calculated does not match the signature you provided. Check your key",
        "The AWS Access Key Id you provided does not exist in our records.",
        "The security token included in the request is invalid",
        "invalid_grant: Invalid JWT Signature",
    ],
    "a NameNode in safe mode, which takes no changes": [
        "Cannot create file/user/root/x. Name node is in safe mode.",
        "org.apache.hadoop.hdfs.server.namenode.SafeModeException: Cannot create file",
    ],
    "a full quota": [
        "The DiskSpace quota of /user/root/small is exceeded: quota = 1048576 B = 1 MB but",
        "The NameSpace quota (directories and files) of directory /user/root is exceeded: quota=1",
    ],
    "no permission": [
        "Access Denied.",
        "Forbidden",
        'Permission denied: user=somebody, access=WRITE, inode="/":root:supergroup:drwxr-xr-x',
        "reader@project.iam.gserviceaccount.com does not have storage.objects.create access to the bucket",
    ],
    "a Spark without the connector of this store": [
        "java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found",
        'org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "gs"',
    ],
    "no answer": [
        "no answer from the NameNode at 127.0.0.1:9870 or its DataNodes",
        'Could not connect to the endpoint URL: "http://127.0.0.1:1/absent-bucket/x"',
        "java.net.ConnectException: Call From host/127.0.0.1 failed: Connection refused",
        "java.lang.IllegalArgumentException: java.net.UnknownHostException: namenode",
        "Name or service not known",
    ],
}


@pytest.mark.parametrize(
    ("found", "words"), [(found, text) for found, texts in SEEN.items() for text in texts]
)
def test_meaning__of_what_python_s_and_java_s_clients_say(found: str, words: str):
    told = meaning(words)
    assert told is not None
    assert told[0] == found


def test_meaning__none_of_other_words():
    assert meaning("Python worker exited unexpectedly") is None


def test_refusal__names_place_found_and_wanted():
    assert refusal("s3://b/out", "Access\nDenied") == (
        "s3://b/out: store: found no permission (Access Denied), "
        "wanted the right to read there, for `out` also to write and remove"
    )
    assert refusal("s3://b", "odd") == (
        "s3://b: store: found a refusal (odd), wanted a store that answers and lets you in"
    )


def test_without_secrets__neither_keys_of_the_environment_nor_signed_urls(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-key")
    told = without_secrets("no planted-key at https://a.blob/b?sig=planted2 or /c?d")
    assert told == "no *** at https://a.blob/b or /c?d"
