"""One report of each dialect, as its runner documents or writes it. All but the first lines of
long traces are left out.
"""

JEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="jest tests" tests="3" failures="1" errors="0" time="1.2">
  <testsuite name="Login" errors="0" failures="1" skipped="1" timestamp="2026-01-02T10:00:00"
      time="0.9" tests="3">
    <testcase classname="Login takes a password" name="Login takes a password" time="0.012">
    </testcase>
    <testcase classname="Login refuses a wrong one" name="Login refuses a wrong one" time="0.004">
      <failure>Error: expect(received).toBe(expected)
    at Object.toBe (login.test.js:9:20)</failure>
    </testcase>
    <testcase classname="Login later" name="Login later" time="0"><skipped/></testcase>
  </testsuite>
</testsuites>"""

# A file that cannot be parsed has no case: jest-junit only counts it.
JEST_BROKEN_FILE = """<testsuites name="jest tests" tests="1" failures="0" errors="1" time="1">
  <testsuite name="undefined" errors="1" failures="0" skipped="0" tests="0" time="0"/>
  <testsuite name="A" errors="0" failures="0" skipped="0" tests="1" time="0">
    <testcase classname="A works" name="A works" time="0"/>
  </testsuite>
</testsuites>"""

PLAYWRIGHT = """<testsuites id="" name="" tests="4" failures="0" skipped="0" errors="1" time="9.1">
<testsuite name="shop.spec.ts" timestamp="2026-01-02T10:00:00.000Z" hostname="chromium" tests="2"
  failures="0" skipped="0" time="4.1" errors="0">
<testcase name="cart › adds" classname="shop.spec.ts" time="1.5">
<properties><property name="owner" value="ana"></property></properties>
<system-out><![CDATA[
[[ATTACHMENT|trace.zip]]
]]></system-out>
</testcase>
<testcase name="cart › pays" classname="shop.spec.ts" time="2.6">
<flakyError message="Target page closed" type="Error" time="1.1">
<stackTrace><![CDATA[Error: Target page closed
  at shop.spec.ts:20]]></stackTrace>
<system-out><![CDATA[opened]]></system-out>
</flakyError>
</testcase>
</testsuite>
<testsuite name="shop.spec.ts" timestamp="2026-01-02T10:00:00.000Z" hostname="firefox" tests="2"
  failures="0" skipped="0" time="5" errors="1">
<testcase name="cart › adds" classname="shop.spec.ts" time="1.5"></testcase>
<testcase name="cart › pays" classname="shop.spec.ts" time="2.6">
<error message="net::ERR_CONNECTION_REFUSED" type="Error"><![CDATA[  [firefox] › shop.spec.ts]]>
</error>
<rerunError message="net::ERR_CONNECTION_REFUSED" type="Error"><stackTrace>…</stackTrace>
</rerunError>
</testcase>
</testsuite>
</testsuites>"""

# Its numbers count every run of a case; its times may be those of the machine's locale.
SUREFIRE = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:noNamespaceSchemaLocation="https://maven.apache.org/surefire/surefire-test-report-3.0.xsd"
  version="3.0" name="com.acme.LoginTest" time="1,002.5" tests="6" errors="1" skipped="0"
  failures="3">
  <properties><property name="java.version" value="17"/></properties>
  <testcase name="works" classname="com.acme.LoginTest" time="0,5"/>
  <testcase name="isFlaky" classname="com.acme.LoginTest" time="1.0">
    <flakyFailure message="expected: &lt;200&gt; but was: &lt;503&gt;"
        type="org.opentest4j.AssertionFailedError">
      <stackTrace><![CDATA[org.opentest4j.AssertionFailedError: expected: <200> but was: <503>
	at com.acme.LoginTest.isFlaky(LoginTest.java:12)]]></stackTrace>
      <system-out><![CDATA[asked once]]></system-out>
    </flakyFailure>
  </testcase>
  <testcase name="fails" classname="com.acme.LoginTest" time="0.1">
    <failure message="down" type="java.net.ConnectException"><![CDATA[java.net.ConnectException]]>
    </failure>
    <rerunFailure message="down" type="java.net.ConnectException"><stackTrace>…</stackTrace>
    </rerunFailure>
    <rerunError message="down" type="java.net.ConnectException"/>
  </testcase>
</testsuite>"""

GOTESTSUM = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="0" time="0.004">
	<testsuite tests="3" failures="1" time="0.004000" name="acme.dev/shop">
		<properties><property name="go.version" value="go1.26.8"></property></properties>
		<testcase classname="acme.dev/shop" name="TestCart" time="0.000000"></testcase>
		<testcase classname="acme.dev/shop" name="TestPay/by_card" time="0.010000">
			<failure message="Failed" type="">=== RUN   TestPay&#xA;    pay_test.go:8: no</failure>
		</testcase>
		<testcase classname="acme.dev/shop" name="TestLater" time="0.000000">
			<skipped message="=== RUN   TestLater&#xA;    pay_test.go:12: not yet&#xA;"></skipped>
		</testcase>
	</testsuite>
</testsuites>"""

NEXTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="1" errors="0"
  uuid="45c50042-482e-477e-88a2-60cfcc3eaf95" timestamp="2026-01-09T07:50:12.664+00:00" time="0.02">
  <testsuite name="shop::api" tests="2" disabled="0" errors="0" failures="1">
    <testcase name="is_up" classname="shop::api" timestamp="2026-01-09T07:50:12.665+00:00"
      time="0.004"/>
    <testcase name="pays" classname="shop::api" timestamp="2026-01-09T07:50:12.665+00:00"
      time="0.004">
      <failure message="thread 'pays' panicked at tests/api.rs:19:5"
        type="test failure with exit code 101">assertion failed</failure>
      <rerunFailure timestamp="2026-01-09T07:50:12.670+00:00" time="0.004" type="test failure">
        <system-out>running 1 test</system-out>
      </rerunFailure>
      <system-err>note: run with RUST_BACKTRACE=1</system-err>
    </testcase>
  </testsuite>
</testsuites>"""

# ctest 3.25: what is disabled has no element that says so.
CTEST = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)"
	tests="4"
	failures="1"
	disabled="1"
	skipped="1"
	hostname=""
	time="0"
	timestamp="2026-11-21T21:54:25"
	>
	<testcase name="ok" classname="ok" time="0.00189811" status="run">
		<system-out>[NON-XML-CHAR-0x1B][31mred</system-out>
	</testcase>
	<testcase name="bad" classname="bad" time="0.00153131" status="fail">
		<failure message=""/>
		<system-out>printed before it failed</system-out>
	</testcase>
	<testcase name="off" classname="off" time="0" status="disabled">
		<system-out>Disabled</system-out>
	</testcase>
	<testcase name="gone" classname="gone" time="0" status="notrun">
		<skipped message="Unable to find executable"/>
	</testcase>
</testsuite>"""

PYTEST = """<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite \
name="pytest" errors="1" failures="1" skipped="1" tests="3" time="0.1" \
timestamp="2026-01-02T10:00:00.1+00:00" hostname="vm"><testcase classname="tests.test_a.TestCart" \
name="test_adds[1]" time="0.001" /><testcase classname="tests.test_a" name="test_pays" \
time="0.001"><failure message="assert 1 == 2">def test_pays():
&gt;       assert 1 == 2</failure></testcase><testcase classname="tests.test_a" name="test_pays" \
time="0.001"><error message="failed on teardown with &quot;OSError&quot;">…</error></testcase>\
<testcase classname="tests.test_a" name="test_known" time="0.0"><skipped type="pytest.xfail" \
message="known" /></testcase></testsuite></testsuites>"""

NODE = """<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="top" time="0.000973" classname="test"/>
	<testsuite name="login" time="0.002" disabled="0" errors="0" tests="2" failures="1" skipped="0">
		<testcase name="works" time="0.0001" classname="test"/>
		<testsuite name="deep" time="0.0004" disabled="0" errors="0" tests="3" failures="1">
			<testcase name="works" time="0.0001" classname="test"/>
			<testcase name="later" time="0.0001" classname="test">
				<skipped type="skipped" message="true"/>
			</testcase>
			<testcase name="known" time="0.0001" classname="test" failure="x">
				<skipped type="todo" message="true"/>
				<failure type="testCodeFailure" message="x">Error [ERR_TEST_FAILURE]: x</failure>
			</testcase>
		</testsuite>
	</testsuite>
	<!-- tests 5 -->
</testsuites>"""

MOCHA = """<testsuite name="Mocha Tests" tests="2" failures="0" errors="1" skipped="0"
  timestamp="Fri, 02 Jan 2026 10:00:00 GMT" time="0.01">
<testcase classname="Cart" name="adds" time="0"/>
<testcase classname="Cart" name="pays" time="0.001"><failure>expected 1 to equal 2
AssertionError: expected 1 to equal 2
    at Context.&lt;anonymous&gt; (test/cart.js:8:14)</failure></testcase>
</testsuite>"""

# `tests` counts assertions, and the host is never filled in.
CATCH2 = """<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop" errors="0" failures="1" skipped="0" tests="17" hostname="tbd" time="0.1">
    <testcase classname="shop.global" name="adds" time="0.001" status="run"/>
    <testcase classname="shop.global" name="pays" time="0.001" status="run">
      <failure message="1 == 2" type="CHECK">FAILED: CHECK( 1 == 2 )</failure>
    </testcase>
  </testsuite>
</testsuites>"""
