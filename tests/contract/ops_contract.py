"""What every backend must do: one class, run against each of them.

A backend's test subclasses ``QuiltOpsContract`` and supplies what ``OpsContract`` names: two operations on empty registries
(one that writes, one that only reads), raw access that goes around the backend, and local folders.
"""

from __future__ import annotations

from address_contract import AddressContract
from agreement_contract import AgreementContract
from create_contract import CreateContract
from deletion_contract import DeletionContract
from install_contract import InstallContract
from listing_contract import ListingContract
from object_contract import ObjectContract
from patch_contract import PatchContract
from reading_contract import ReadingContract
from refusal_contract import RefusalContract
from revision_contract import RevisionContract
from saying_contract import SayingContract
from trust_contract import TrustContract
from workflow_contract import WorkflowContract


class QuiltOpsContract(
    ListingContract,
    ReadingContract,
    CreateContract,
    PatchContract,
    RevisionContract,
    DeletionContract,
    AddressContract,
    InstallContract,
    WorkflowContract,
    ObjectContract,
    RefusalContract,
    TrustContract,
    SayingContract,
    AgreementContract,
):
    """Each method is one promise of ``QuiltOps``."""
