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
        if (failure.getTrace().contains("no control over the broker")) { testAssumptionFailure(failure); return; }
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
# Tests of what is not asked for here: users that come and go, TLS, a second node, libraries that Debian lacks.
FOREIGN = ("add_user", "ClusteredTestBase", "MetricsCollector", "TLS", "ssl.")
# They would start, stop or configure the broker with scripts of their own repository: such a test counts as skipped.
CONTROL = re.compile(
    r"((?:public static Process (?:rabbitmqctl|rabbitmqctlIgnoreErrors|invokeMakeTarget)|protected void restart)\(.*?\{)",
    re.S,
)
REFUSAL = ' if (true) throw new org.junit.AssumptionViolatedException("no control over the broker");'
# Its publishers go on for as long as the program does.
LAST = "com.rabbitmq.client.test.server.Bug19219Test"
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
    return sorted(found, key=lambda name: (name == LAST, name))


def prepare(source: Source) -> None:
    libraries = ("librabbitmq-client-java", "junit4", "libhamcrest-java", "libmockito-java", "libslf4j-java")
    packages("default-jdk-headless", *libraries)
    if (source.work / "classes" / "Verdicts.class").exists():
        return
    (source.work / "Verdicts.java").write_text(RUNNER)
    root = source.folder / "src" / "test" / "java"
    listing = root / "com" / "rabbitmq" / "client" / "test" / "functional" / "FunctionalTests.java"
    listing.write_text(re.sub(r",\s*Metrics.class", "", listing.read_text()))
    for path in ("tools/Host.java", "client/test/BrokerTestCase.java"):
        file = root / "com" / "rabbitmq" / path
        file.write_text(CONTROL.sub(lambda found: found[1] + REFUSAL, file.read_text()))
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
