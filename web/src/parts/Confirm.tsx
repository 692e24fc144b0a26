import { Button, Group, Modal } from "@mantine/core";
import { type ReactNode, useLayoutEffect } from "react";
import { Refused } from "./states";

/** Asks before something that cannot be taken back, with its consequences. */
export function Confirm(props: {
  title: string;
  action: string;
  isOpen: boolean;
  isPending: boolean;
  isReady?: boolean;
  error: Error | null;
  onConfirm: () => void;
  onClose: () => void;
  children: ReactNode;
}) {
  useFocusBack(props.isOpen);
  return (
    <Modal
      returnFocus={false}
      opened={props.isOpen}
      onClose={props.onClose}
      title={props.title}
      size="lg"
      closeButtonProps={{ "aria-label": "Close" }}
    >
      {props.children}
      <Refused error={props.error} />
      <Group mt="md" justify="flex-end">
        <Button variant="default" onClick={props.onClose} data-autofocus>
          Cancel
        </Button>
        {props.isReady !== false && (
          <Button color="red" onClick={props.onConfirm} loading={props.isPending}>
            {props.action}
          </Button>
        )}
      </Group>
    </Modal>
  );
}

/** Whoever works by keyboard goes on where the question was asked; where that is gone, at the content's beginning. */
function useFocusBack(isOpen: boolean): void {
  useLayoutEffect(() => {
    if (!isOpen) return;
    const asker = document.activeElement;
    return () => {
      requestAnimationFrame(() => {
        if (asker instanceof HTMLElement && asker.isConnected) asker.focus();
        else document.getElementById("main")?.focus();
      });
    };
  }, [isOpen]);
}
