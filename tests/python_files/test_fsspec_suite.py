"""fsspec's own tests of a filesystem, where they read: what is copied out of a package lies where fsspec says that it does."""

from __future__ import annotations

import pytest
from fsspec.tests.abstract import AbstractFixtures, AbstractGetTests
from lab import Lab

from quilt_mcp.python_files import PackageFiles

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("python_files")]


class ReadFixtures(AbstractFixtures):
    """The trees that the suite writes are in the package already."""

    @pytest.fixture
    def fs(self, of: Lab) -> PackageFiles:
        return of.view()

    @pytest.fixture
    def fs_join(self):
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def fs_path(self, of: Lab) -> str:
        return of.plain()

    @pytest.fixture
    def fs_bulk_operations_scenario_0(self, of: Lab) -> str:
        return of.plain("_bulk_operations_scenario_0/source")

    @pytest.fixture
    def fs_glob_edge_cases_files(self, of: Lab) -> str:
        return of.plain("_glob_edge_cases_files/source")

    @pytest.fixture
    def fs_dir_and_file_with_same_name_prefix(self, of: Lab) -> str:
        return of.plain("_dir_and_file_with_same_name_prefix/source")

    @pytest.fixture
    def fs_10_files_with_hashed_names(self, of: Lab) -> str:
        return of.plain("_10_files_with_hashed_names/source")

    test_get_directory_recursive = None
    """Writes a tree of its own: ``test_reading`` copies one that is there."""

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestOfAFolder(ReadFixtures, AbstractGetTests):
    @pytest.fixture
    def of(self, folder_lab: Lab) -> Lab:
        return folder_lab


@pytest.mark.nightly
class TestOfABucket(ReadFixtures, AbstractGetTests):
    @pytest.fixture
    def of(self, bucket_lab: Lab) -> Lab:
        return bucket_lab
