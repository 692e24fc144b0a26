import { Button, type ButtonProps } from "@mantine/core";
import { type ComponentPropsWithoutRef, useEffect, useRef } from "react";

type Props = Omit<ButtonProps, "loading"> & ComponentPropsWithoutRef<"button"> & { isPending: boolean };

/** Disabled while its answer is awaited; a browser takes the focus from what is disabled: it is given back then. */
export function OrderButton({ isPending, ...rest }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const wasPending = useRef(false);
  useEffect(() => {
    const isNobodys = document.activeElement === document.body || document.activeElement === null;
    if (wasPending.current && !isPending && isNobodys) button.current?.focus();
    wasPending.current = isPending;
  }, [isPending]);
  return <Button ref={button} loading={isPending} {...rest} />;
}
