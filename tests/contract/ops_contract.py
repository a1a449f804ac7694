"""What every backend must do: one class, run against each of them.

A backend's test subclasses ``QuiltOpsContract`` and supplies what ``OpsContract`` names: two operations on empty registries
(one that writes, one that only reads), raw access that goes around the backend, and local folders.
"""

from __future__ import annotations

from address_contract import AddressContract
from agreement_contract import AgreementContract
from create_contract import CreateContract
from deletion_contract import DeletionContract
from front_contract import FrontContract
from history_contract import HistoryContract
from install_contract import InstallContract
from listing_contract import ListingContract
from narrowing_contract import NarrowingContract
from object_contract import ObjectContract
from packages_contract import PackagesContract
from patch_contract import PatchContract
from plan_contract import PlanContract
from progress_contract import ProgressContract
from reading_contract import ReadingContract
from refusal_contract import RefusalContract
from revision_contract import RevisionContract
from saying_contract import SayingContract
from table_diff_contract import TableDiffContract
from trust_contract import TrustContract
from workflow_contract import WorkflowContract


class WritingContract(
    CreateContract,
    PatchContract,
    RevisionContract,
    DeletionContract,
    InstallContract,
    ObjectContract,
    ProgressContract,
):
    """What asks most of a store: its conditions, its versions, what it copies by itself. CI holds to it each kind of store."""


class ShowingContract(PackagesContract, ReadingContract, HistoryContract, TrustContract):
    """What is read of a store's objects. CI holds to it a folder."""


class TellingContract(
    NarrowingContract,
    FrontContract,
    AddressContract,
    WorkflowContract,
    RefusalContract,
    SayingContract,
    PlanContract,
    AgreementContract,
    TableDiffContract,
):
    """What the engine makes of objects that any store hands over alike. CI holds to it a folder."""


class AnsweringContract(ListingContract, ShowingContract, TellingContract):
    """What is read and told."""


class QuiltOpsContract(WritingContract, AnsweringContract):
    """Each method is one promise of ``QuiltOps``."""
