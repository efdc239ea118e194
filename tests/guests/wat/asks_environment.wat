;; architecture
;; Looks for variables, of which there are none, and gives up.
(import "wasi:cli/environment@0.2.6" "get-environment" (func $ask (param i32)))
(func $found (call $ask (i32.const 4096)) (if (i32.load (i32.const 4100)) (then (loop $again (br $again)))))
(func (export "build") (param i32 i32 i32) (result i32) (call $found) (unreachable))
