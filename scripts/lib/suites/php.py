"""Suites of PHP clients: PHPUnit, and PHP's own test runner for the extension in C."""

from pathlib import Path

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import debian, packages
from .shell import Failed

# Stands in for the loader that composer would make.
AUTOLOAD = '''<?php
spl_autoload_register(function ($class) {
    $places = [
        "PhpAmqpLib\\\\Tests\\\\Functional\\\\" => "tests/Functional/",
        "PhpAmqpLib\\\\Tests\\\\Unit\\\\" => "tests/Unit/",
        "PhpAmqpLib\\\\" => "PhpAmqpLib/",
    ];
    foreach ($places as $prefix => $folder) {
        if (strpos($class, $prefix) === 0) {
            $file = __DIR__ . "/../" . $folder . str_replace("\\\\", "/", substr($class, strlen($prefix))) . ".php";
            if (is_file($file)) {
                require $file;
                return;
            }
        }
    }
});
@include_once "phpseclib3/autoload.php";
'''


def prepare_phpunit(source: Source) -> None:
    packages("php-cli", "php-mbstring", "php-xml", "phpunit", "php-phpseclib3")
    (source.folder / "vendor").mkdir(exist_ok=True)
    (source.folder / "vendor" / "autoload.php").write_text(AUTOLOAD)


def run_phpunit(run: Run) -> Outcome:
    report = run.log("report.xml")
    report.unlink(missing_ok=True)
    # Without those that want a proxy or TLS.
    command = ["phpunit", "--no-logging", "--exclude-group", "proxy", "--filter", "^(?!.*(SSL|secure|ipv6))", "--log-junit", report]
    broker = run.broker
    env = {
        "TEST_RABBITMQ_HOST": broker.host,
        "TEST_RABBITMQ_PORT": str(broker.port),
        "TEST_RABBITMQ_USER": broker.user,
        "TEST_RABBITMQ_PASS": broker.password,
    }
    _, note = run.execute(command, env)
    return results.junit(report, note)


def prepare_extension(source: Source) -> None:
    packages("php-cli", "php-dev", "php-amqp")


def run_extension(run: Run) -> Outcome:
    runner = next(Path("/usr/lib/php").glob("2*/build/run-tests.php"), None)
    if not runner:
        raise Failed("Debian's php-dev has no run-tests.php")
    report = run.log("report.xml")
    report.unlink(missing_ok=True)
    env = {
        "TEST_PHP_EXECUTABLE": "/usr/bin/php",
        "TEST_PHP_JUNIT": str(report),
        "NO_INTERACTION": "1",
        "PHP_AMQP_HOST": run.broker.host,
    }
    _, note = run.execute(["php", runner, "tests"], env, limit=900)
    return results.junit(report, note)


SUITES = [
    Suite("php-amqplib", debian("php-amqplib"), prepare_phpunit, run_phpunit),
    # The tests of the version that Debian has built.
    Suite("php-amqp", debian("php-amqp", newest=False), prepare_extension, run_extension, fixed_port=True),
]
