import { DeliveryList } from '../deliveries/list';
import { PageHead } from '../ui/basics';

export function DeliveriesPage() {
  return (
    <>
      <PageHead title="Deliveries" lead="Every request to every webhook of this workspace, as it happens." />
      <DeliveryList webhookId={null} />
    </>
  );
}
