import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";
import { needs, onLaptop } from "../testkit/mod.ts";

const withPrograms = (program: "dig" | "nc" | "ip") => needs("tun", "userns", "ip", "unshare", "setpriv", program);

test("the kernel's resolver and dig find names over UDP and TCP, in both families", withPrograms("dig"), async (t) => {
  const out = await onLaptop(
    t,
    `getent ahosts Echo.Company.test | awk '{print $1}' | sort -u | wc -l
     dig +short echo.company.test A | cut -d. -f1
     dig +tcp +short echo.company.test AAAA | cut -c1-2
     dig +tries=1 www.example.com A | grep -o 'status: [A-Z]*'
     dig +tries=1 @100.64.0.2 -p 54 echo.company.test A | grep -c 'connection refused'`,
  );
  assert.deepEqual(out.trim().split("\n"), ["2", "100", "fd", "status: SERVFAIL", "1"]);
});

test(
  "A and AAAA back to back from one socket are both answered, 500 of 500, over either family",
  withPrograms("ip"),
  async (t) => {
    const ask = `${process.execPath} ${join(import.meta.dirname, "back-to-back.fixture.ts")}`;
    const out = await onLaptop(
      t,
      `${ask} 100.64.0.2 echo.company.test 500; ${ask} "$(sed -n 's/nameserver //p' /etc/resolv.conf | grep :)" echo.company.test 500`,
    );
    assert.deepEqual(out.trim().split("\n"), ["500", "500"]);
  },
);

test("16 MiB go through the kernel's TCP and back unharmed, half-close included", withPrograms("nc"), async (t) => {
  const bytes = randomBytes(16 * 1024 * 1024);
  const out = await onLaptop(
    t,
    "nc -N echo.company.test 80 <in | sha256sum; nc -6 -N echo.company.test 80 <in | sha256sum",
    { input: bytes },
  );
  const expected = `${createHash("sha256").update(bytes).digest("hex")}  -`;
  assert.deepEqual(out.trim().split("\n"), [expected, expected]);
});

test("what is refused is refused at once", withPrograms("nc"), async (t) => {
  const out = await onLaptop(
    t,
    `start=$(date +%s%N)
     for target in "echo.company.test 9" "multi.company.test 80" "100.64.9.9 80" "100.64.0.2 80"; do
       nc -w 5 $target </dev/null && echo accepted
     done
     nc -u -w 1 -z 100.64.9.9 80
     nc -N multi.company.test 1337 </dev/null && echo open
     test $(( ($(date +%s%N) - start) / 1000000 )) -lt 3000 && echo fast`,
  );
  assert.deepEqual(out.trim().split("\n"), ["open", "fast"]);
});
