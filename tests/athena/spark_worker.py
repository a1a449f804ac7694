"""The process that runs Spark: a statement a line, each answered by a line. Its environment has pyspark and nothing of ours."""

from __future__ import annotations

import base64
import json
import sys
from datetime import date, datetime
from decimal import Decimal

from pyspark.sql import SparkSession


def plain(value):
    if isinstance(value, (datetime, date)):
        return {"time": value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()}
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, float) and value != value:
        return {"float": "nan"}
    if isinstance(value, float) and abs(value) == float("inf"):
        return {"float": str(value)}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def main() -> None:
    out = sys.stdout
    sys.stdout = sys.stderr
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.ansi.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.timestampType", "TIMESTAMP_NTZ")
        .config("spark.sql.optimizer.maxIterations", "50")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-Duser.timezone=UTC")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("OFF")
    for line in sys.stdin:
        given = json.loads(line)
        try:
            frame = spark.sql(given["sql"])
            rows = [] if given.get("silent") else [[plain(one) for one in row] for row in frame.collect()]
            answer = {"rows": rows}
        except Exception as error:  # noqa: BLE001 - whatever Spark says of the statement is its answer
            answer = {"error": str(error)[:600]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
