"""Suites of Java clients: JUnit, with the client and the libraries that Debian has built."""

import re

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import debian, packages
from .shell import must

JARS = ("amqp-client", "junit4", "hamcrest-all", "hamcrest-core", "mockito-core", "slf4j-api", "objenesis", "byte-buddy")
RUNNER = """
import org.junit.runner.*;
import org.junit.runner.notification.*;

/** One line a test. */
public class Verdicts extends RunListener {
    private boolean good;

    @Override public void testStarted(Description test) { good = true; }
    @Override public void testFailure(Failure failure) {
        good = false;
        System.out.println("\\nnot ok - " + failure.getDescription() + "\\n# " + failure.getTrace().replace("\\n", "\\n# "));
    }
    @Override public void testAssumptionFailure(Failure failure) {
        good = false;
        System.out.println("\\nok - " + failure.getDescription() + " # skip");
    }
    @Override public void testIgnored(Description test) { System.out.println("\\nok - " + test + " # skip"); }
    @Override public void testFinished(Description test) { if (good) System.out.println("\\nok - " + test); }

    public static void main(String[] names) throws Exception {
        JUnitCore core = new JUnitCore();
        core.addListener(new Verdicts());
        for (String name : names) core.run(Class.forName(name));
        System.exit(0);
    }
}
"""
# Tests that start, stop or configure a broker themselves, and those that want TLS or libraries that Debian lacks.
FOREIGN = ("Host.", "restart()", "block()", "bareRestart", "ClusteredTestBase", "codahale", "extends ConnectionRecovery", "TLS", "ssl.")
# What cannot be compiled without those libraries, and a list of tests that names it.
APART = ("perf", "ssl", "Metrics", "examples", "ClientTests")


def classpath(source: Source) -> str:
    return ":".join([str(source.work / "classes"), *(f"/usr/share/java/{jar}.jar" for jar in JARS)])


def tests(source: Source) -> list[str]:
    """The classes whose tests a broker alone can answer."""
    root = source.folder / "src" / "test" / "java"
    found = []
    for path in sorted(root.glob("com/rabbitmq/client/test/**/*.java")):
        text = path.read_text(errors="replace")
        told = path.parent.name in ("functional", "server") or "BrokerTestCase" in text
        if told and "@Test" in text and "abstract class" not in text and not any(word in text for word in FOREIGN):
            found.append(".".join(path.relative_to(root).with_suffix("").parts))
    return found


def prepare(source: Source) -> None:
    libraries = ("librabbitmq-client-java", "junit4", "libhamcrest-java", "libmockito-java", "libslf4j-java")
    packages("default-jdk-headless", *libraries)
    if (source.work / "classes" / "Verdicts.class").exists():
        return
    (source.work / "Verdicts.java").write_text(RUNNER)
    root = source.folder / "src" / "test" / "java"
    listing = root / "com" / "rabbitmq" / "client" / "test" / "functional" / "FunctionalTests.java"
    listing.write_text(re.sub(r",\s*Metrics.class", "", listing.read_text()))
    files = [path for path in root.rglob("*.java") if not any(word in str(path.relative_to(root)) for word in APART)]
    files.append(source.work / "Verdicts.java")
    listed = source.work / "files.txt"
    listed.write_text("\n".join(map(str, files)))
    command = ["javac", "-nowarn", "-encoding", "UTF-8", "-d", source.work / "classes", "-cp", classpath(source)]
    must("javac", [*command, f"@{listed}"], source.folder, source.work / "logs" / "prepare.txt")


def run(run: Run) -> Outcome:
    source = run.source
    command = ["java", "-cp", classpath(source), "Verdicts", *tests(source)]
    text, note = run.execute(command, limit=1500)
    return results.tap(text, note)


SUITES = [
    Suite("java-client", debian("rabbitmq-java-client"), prepare, run, fixed_port=True),
]
