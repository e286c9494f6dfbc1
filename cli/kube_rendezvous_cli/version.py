"""The version of this program, and where the pages of that version are."""

SITE = "https://rdzv.dev/v0.1.0/"

VERSION = SITE.rstrip("/").rpartition("/v")[2]
"""Not from the metadata of the package: the zipapp has none."""

TROUBLESHOOTING = f"{SITE}docs/troubleshooting.md"
