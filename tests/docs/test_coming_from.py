"""The page for users of the other program leaves none of its tools and settings out, and names only tools that there are."""

from __future__ import annotations

import re
from pathlib import Path

from quilt_mcp.option import OPTIONS
from quilt_mcp.tools import TOOLS

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-quilt-mcp-0.x.md"
_THEIRS = """
    catalog_configure catalog_uri catalog_url bucket_list bucket_objects_list bucket_object_info
    bucket_object_text bucket_object_fetch bucket_object_link bucket_objects_put package_create_from_s3
    create_quilt_summary_files generate_quilt_summarize_json generate_package_visualizations search_catalog
    search_docs_quilt_bio search_explain search_suggest create_data_visualization athena_query_execute
    athena_query_validate athena_table_schema athena_tables_list tabulator_list_buckets
    tabulator_tables_list tabulator_table_create tabulator_table_delete tabulator_table_rename
    tabulator_bucket_query tabulator_query_execute admin_user_get admin_user_create admin_user_delete
    admin_user_set_email admin_user_set_admin admin_user_set_active admin_user_reset_password
    admin_user_set_role admin_user_add_roles admin_user_remove_roles admin_sso_config_set
    admin_sso_config_remove admin_tabulator_open_query_set check_bucket_access discover_permissions
    get_resource workflow_create workflow_add_step workflow_update_step workflow_delete
    workflow_template_apply
"""
THEIRS = _THEIRS.split()
"""What 0.22.0 registers, in its widest mode."""
_VARIABLES = """
    QUILT_CATALOG_URL QUILT_DEPLOYMENT QUILT_MULTIUSER_MODE QUILT_SERVICE_TIMEOUT QUILT_KNOWN_BUCKETS
    QUILT_ENABLE_FALLBACK_DISCOVERY QUILT_REGISTRY_URL QUILT_GRAPHQL_ENDPOINT QUILT_NAVIGATOR_URL
    QUILT_BROWSING_SESSION_TTL QUILT_WORKFLOW_DIR QUILT_MCP_RESOURCES_ENABLED
    QUILT_MCP_RESOURCE_CACHE_ENABLED QUILT_MCP_RESOURCE_CACHE_TTL QUILT_MCP_RESOURCE_ACCESS_LOGGING
    QUILT_DISABLE_USAGE_METRICS QUILT_ALLOW_TEST_JWT QUILT_TEST_BUCKET FASTMCP_TRANSPORT FASTMCP_HOST
    FASTMCP_ADDR FASTMCP_PORT MCP_SKIP_BANNER MCP_TELEMETRY_LEVEL MCP_TELEMETRY_LOCAL_ONLY
    MCP_TELEMETRY_ENDPOINT MCP_TELEMETRY_API_KEY MCP_TELEMETRY_BATCH_SIZE MCP_TELEMETRY_FLUSH_INTERVAL
    MCP_TELEMETRY_PRIVACY_LEVEL MCP_TELEMETRY_SESSION_TIMEOUT ATHENA_WORKGROUP ATHENA_QUERY_RESULT_LOCATION
    AWS_REGION AWS_DEFAULT_REGION
"""
VARIABLES = _VARIABLES.split()
"""What its code reads from the environment."""
NAME = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)+|search|status)`")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_of_its_tools_stands_in_the_table_once() -> None:
    there = [name for row in rows("Tools") for name in NAME.findall(row[0])]
    assert len(THEIRS) == 51
    assert set(THEIRS) <= set(there) and len(there) == len(set(there))


def test_what_stands_beside_them_is_a_tool_of_ours_or_an_argument_of_one() -> None:
    ours = {tool.name for tool in TOOLS}.union(*(tool.arguments for tool in TOOLS))
    for row in rows("Tools"):
        named = set(NAME.findall(row[1])) | set(NAME.findall(row[2]))
        assert named <= ours, row


def test_each_of_its_variables_stands_in_the_table() -> None:
    there = {name for row in rows("Settings") for name in re.findall(r"`([A-Z][A-Z0-9_]+)`", row[0])}
    assert set(VARIABLES) <= there


def test_each_setting_of_ours_that_is_named_is_one() -> None:
    known = {option.variable for option in OPTIONS} | {"AWS_PROFILE"}
    named = {name for row in rows("Settings") for name in re.findall(r"`(QUILT_[A-Z0-9_]+)`", row[1])}
    assert named and named <= known
