"""A VPC of the check's own: a public subnet for the mount target and the EC2 builder, a private one for functions.

A function in a VPC has no public address, whatever its subnet: its way to a package index is a NAT gateway.
https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc-internet.html
"""

from devtools.aws_check.account import Account

_TYPES = ("m7i.xlarge", "m6i.xlarge")  # what efsprov launches first


def make_vpc(check: Account) -> None:
    """The VPC with its internet gateway and its public subnet, in a zone that has the builder's instance types."""
    ec2, made = check.client("ec2"), check.made
    asked = [{"Name": "instance-type", "Values": list(_TYPES)}]
    offers = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=asked)
    made.zone = min(offer["Location"] for offer in offers["InstanceTypeOfferings"])
    made.vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16", TagSpecifications=check.born("vpc"))["Vpc"]["VpcId"]
    check.until("the VPC", lambda: ec2.describe_vpcs(VpcIds=[made.vpc])["Vpcs"], seconds=60)
    ec2.modify_vpc_attribute(VpcId=made.vpc, EnableDnsHostnames={"Value": True})
    made.public = _subnet(check, "10.77.0.0/24")
    tags = check.born("internet-gateway")
    gateway = ec2.create_internet_gateway(TagSpecifications=tags)["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=made.vpc)
    main = [{"Name": "vpc-id", "Values": [made.vpc]}, {"Name": "association.main", "Values": ["true"]}]
    table = ec2.describe_route_tables(Filters=main)["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)


def make_way_out(check: Account) -> None:
    """The private subnet, whose way to the internet is a NAT gateway."""
    ec2, made = check.client("ec2"), check.made
    made.private = _subnet(check, "10.77.1.0/24")
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=check.born("elastic-ip"))["AllocationId"]
    gateway = ec2.create_nat_gateway(
        SubnetId=made.public,
        AllocationId=address,
        ClientToken=check.name("nat"),
        TagSpecifications=check.born("natgateway"),
    )["NatGateway"]["NatGatewayId"]

    def works() -> bool:
        state = ec2.describe_nat_gateways(NatGatewayIds=[gateway])["NatGateways"][0]["State"]
        return bool(state == "available")

    check.until("the NAT gateway", works, seconds=600)
    tags = check.born("route-table")
    made.table = ec2.create_route_table(VpcId=made.vpc, TagSpecifications=tags)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=made.table, DestinationCidrBlock="0.0.0.0/0", NatGatewayId=gateway)
    ec2.associate_route_table(RouteTableId=made.table, SubnetId=made.private)


def make_groups(check: Account) -> None:
    """The functions' security group, and the mount target's, which lets the VPC's addresses in to NFS."""
    made = check.made
    made.workers, made.guard = _group(check, "functions"), _group(check, "mount-target")
    rule = {"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "IpRanges": [{"CidrIp": "10.77.0.0/16"}]}
    check.client("ec2").authorize_security_group_ingress(
        GroupId=made.guard, IpPermissions=[rule], TagSpecifications=check.born("security-group-rule")
    )


def _subnet(check: Account, block: str) -> str:
    told = check.client("ec2").create_subnet(
        VpcId=check.made.vpc,
        CidrBlock=block,
        AvailabilityZone=check.made.zone,
        TagSpecifications=check.born("subnet"),
    )
    return str(told["Subnet"]["SubnetId"])


def _group(check: Account, name: str) -> str:
    told = check.client("ec2").create_security_group(
        GroupName=check.name(name),
        Description="efsprov check on AWS",
        VpcId=check.made.vpc,
        TagSpecifications=check.born("security-group"),
    )
    return str(told["GroupId"])
